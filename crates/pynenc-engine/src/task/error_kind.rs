//! The kind of a task function's error: the name of its variant, or else of its type.

/// An error type that names its variants. The name becomes [`TaskError::kind`].
///
/// [`TaskError::kind`]: pynenc_core::record::TaskError::kind
pub trait VariantName {
    /// The variant's name.
    fn variant_name(&self) -> String;
}

/// Asks an error for its kind: the variant's name if the type implements [`VariantName`], otherwise the type's name.
///
/// Method resolution chooses: [`KindByVariant`] is found on the value, [`KindByType`] only on a reference to it.
#[derive(Debug)]
pub struct KindOf<'a, E>(pub &'a E);

/// The kind of errors with a [`VariantName`].
pub trait KindByVariant {
    /// The error's kind.
    fn kind(&self) -> String;
}

impl<E: VariantName> KindByVariant for KindOf<'_, E> {
    fn kind(&self) -> String {
        self.0.variant_name()
    }
}

/// The kind of all other errors.
pub trait KindByType {
    /// The error's kind.
    fn kind(&self) -> String;
}

impl<E> KindByType for &KindOf<'_, E> {
    fn kind(&self) -> String {
        short_type_name(std::any::type_name::<E>()).to_owned()
    }
}

fn short_type_name(full: &str) -> &str {
    let path = full.split('<').next().unwrap_or(full);
    path.rsplit("::").next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Named;

    impl VariantName for Named {
        fn variant_name(&self) -> String {
            "Declined".to_owned()
        }
    }

    #[test]
    fn a_kind_is_the_name_of_the_variant_or_of_the_type() {
        assert_eq!(KindOf(&Named).kind(), "Declined");
        assert_eq!((&KindOf(&"text".to_owned())).kind(), "String");
        assert_eq!((&KindOf(&Box::<Vec<u8>>::default())).kind(), "Box");
    }
}
