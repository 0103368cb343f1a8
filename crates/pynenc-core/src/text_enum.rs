//! Enums whose variants each have one text in storage, configuration and messages.

/// Defines an enum with the text of each variant: `Display`, `FromStr` and serde read and write that text.
macro_rules! text_enum {
    (
        $(#[$attribute:meta])*
        $name:ident, $what:literal {
            $($(#[$variant_attribute:meta])* $variant:ident = $text:literal),+ $(,)?
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ::serde::Serialize, ::serde::Deserialize)]
        pub enum $name { $($(#[$variant_attribute])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value's text in storage, configuration and messages.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::error::Error;

            fn from_str(text: &str) -> $crate::error::Result<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text).ok_or_else(|| {
                    let known: Vec<_> = Self::ALL.iter().map(|value| value.as_str()).collect();
                    let error = $crate::error::Error::invalid(concat!("unknown ", $what));
                    error.with("found", text).with("known", known.join(", "))
                })
            }
        }
    };
}

pub(crate) use text_enum;
