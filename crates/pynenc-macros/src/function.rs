//! The function under the attribute, checked to be one that a task can be.

use darling::error::Accumulator;
use darling::{Error, Result};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    AttrStyle, Attribute, Block, FnArg, Item, ItemFn, Pat, PatType, ReturnType, Safety, Signature, Type, Visibility,
};

/// A function that can be a task.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) name: Ident,
    pub(crate) is_async: bool,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) output: ReturnType,
    pub(crate) body: Block,
}

/// One of its parameters.
pub(crate) struct Parameter {
    /// As it is declared, without `#[inject]`.
    pub(crate) declaration: PatType,
    pub(crate) name: Ident,
    pub(crate) injected: bool,
}

impl Function {
    /// Reads a function.
    ///
    /// # Errors
    ///
    /// Points at each token that a task can't have.
    pub(crate) fn parse(item: TokenStream) -> Result<Self> {
        let function = free_function(item)?;
        let mut errors = Error::accumulator();
        refuse_qualifiers(&function.sig, &mut errors);
        let parameters =
            function.sig.inputs.into_iter().filter_map(|input| errors.handle(Parameter::parse(input))).collect();
        errors.handle(check_output(&function.sig.output));
        errors.finish_with(Self {
            attributes: function.attrs.into_iter().map(outer).collect(),
            visibility: function.vis,
            name: function.sig.ident,
            is_async: function.sig.asyncness.is_some(),
            parameters,
            output: function.sig.output,
            body: *function.block,
        })
    }

    /// The parameters that travel.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|parameter| !parameter.injected)
    }

    /// What the body returns, `()` where nothing is written.
    pub(crate) fn output_type(&self) -> TokenStream {
        match &self.output {
            ReturnType::Type(_, output) => output.to_token_stream(),
            ReturnType::Default => quote_spanned!(self.name.span()=> ()),
        }
    }
}

impl Parameter {
    fn parse(input: FnArg) -> Result<Self> {
        let mut declaration = match input {
            FnArg::Typed(declaration) => declaration,
            FnArg::Receiver(receiver) => {
                return Err(refused(&receiver.self_token, "a task is a free function: it has no `self`"));
            }
        };
        let name = plain_name(&declaration.pat)?;
        let injected = take_inject(&mut declaration.attrs)?;
        if injected { check_injected(&declaration.ty) } else { check_owned(&declaration.ty) }?;
        Ok(Self { declaration, name, injected })
    }

    /// The parameter's name as text.
    pub(crate) fn text(&self) -> String {
        self.name.unraw().to_string()
    }
}

fn free_function(item: TokenStream) -> Result<ItemFn> {
    match syn::parse2(item)? {
        Item::Fn(function) => Ok(function),
        other => Err(refused(&other, "a task is a free function")),
    }
}

/// An attribute in the body's head says the same before the function.
fn outer(mut attribute: Attribute) -> Attribute {
    attribute.style = AttrStyle::Outer;
    attribute
}

fn refuse_qualifiers(signature: &Signature, errors: &mut Accumulator) {
    if let Some(token) = &signature.constness {
        errors.push(refused(token, "a task can't be a `const fn`"));
    }
    if let Safety::Unsafe(token) = &signature.safety {
        errors.push(refused(token, "a task can't be `unsafe`: nobody vouches for its arguments"));
    }
    if let Some(abi) = &signature.abi {
        errors.push(refused(abi, "a task can't be `extern`"));
    }
    if let Some(variadic) = &signature.variadic {
        errors.push(refused(variadic, "a task can't be variadic"));
    }
    if let Some(parameter) = signature.generics.params.first() {
        errors.push(refused(parameter, "a task can't be generic: its name must stand for one function"));
    }
    if let Some(clause) = &signature.generics.where_clause {
        errors.push(refused(&clause.where_token, "a task can't be generic: it has nothing to bound"));
    }
}

fn plain_name(pattern: &Pat) -> Result<Ident> {
    match pattern {
        Pat::Ident(plain) if plain.by_ref.is_none() && plain.subpat.is_none() => Ok(plain.ident.clone()),
        other => Err(refused(other, "a task's parameter needs a plain name: arguments travel under their names")),
    }
}

/// Takes `#[inject]` out of a parameter's attributes.
fn take_inject(attributes: &mut Vec<Attribute>) -> Result<bool> {
    let is_inject = |attribute: &Attribute| attribute.path().is_ident("inject");
    if let Some(conditional) = attributes.iter().find(|attribute| is_conditional(attribute)) {
        return Err(refused(
            conditional,
            "a task's parameter can't depend on a `cfg`: callers and runners must agree on it",
        ));
    }
    let injects: Vec<_> = attributes.extract_if(.., |attribute| is_inject(attribute)).collect();
    if let Some(inject) = injects.first() {
        inject.meta.require_path_only()?;
    }
    Ok(!injects.is_empty())
}

/// Whether the attribute is a `cfg` of any kind.
fn is_conditional(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr")
}

fn check_owned(argument: &Type) -> Result<()> {
    let mut errors = Error::accumulator();
    Owned(&mut errors).visit_type(argument);
    errors.finish()
}

fn check_injected(parameter: &Type) -> Result<()> {
    match parameter {
        Type::Reference(reference) => {
            Err(refused(&reference.and_token, "an injected parameter is owned: its type implements `FromContext`"))
        }
        Type::ImplTrait(opaque) => Err(refused(opaque, "an injected parameter needs a type with a name")),
        _ => Ok(()),
    }
}

fn check_output(output: &ReturnType) -> Result<()> {
    match output {
        ReturnType::Type(_, output) => match &**output {
            Type::Reference(reference) => {
                Err(refused(&reference.and_token, format!("a task's value is owned: {}", advice(&reference.elem))))
            }
            Type::ImplTrait(opaque) => {
                Err(refused(opaque, "a task's value needs a type with a name: callers read it back"))
            }
            _ => Ok(()),
        },
        ReturnType::Default => Ok(()),
    }
}

/// Refuses what an argument that travels can't hold.
struct Owned<'a>(&'a mut Accumulator);

impl<'ast> Visit<'ast> for Owned<'_> {
    fn visit_type_reference(&mut self, reference: &'ast syn::TypeReference) {
        let message = format!("a task's arguments are owned: {}", advice(&reference.elem));
        self.0.push(refused(&reference.and_token, message));
    }

    fn visit_type_impl_trait(&mut self, opaque: &'ast syn::TypeImplTrait) {
        self.0.push(refused(opaque, "a task's arguments need types with names: runners read them back"));
    }

    fn visit_lifetime(&mut self, lifetime: &'ast syn::Lifetime) {
        if lifetime.ident != "static" {
            self.0.push(refused(lifetime, "a task's arguments are owned: there is nothing to borrow from"));
        }
        visit::visit_lifetime(self, lifetime);
    }
}

fn advice(borrowed: &Type) -> &'static str {
    match borrowed {
        Type::Path(path) if path.path.is_ident("str") => "use `String`",
        Type::Slice(_) => "use a `Vec`",
        _ => "take the value itself",
    }
}

fn refused(tokens: &impl Spanned, message: impl std::fmt::Display) -> Error {
    Error::custom(message).with_span(tokens)
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn check_refused(item: TokenStream, message: &str) {
        let error = Function::parse(item).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(message), "{error:?} without {message:?}");
    }

    #[test]
    fn what_a_task_cant_be_is_refused() {
        check_refused(
            quote!(
                struct Job;
            ),
            "free function",
        );
        check_refused(
            quote!(
                fn f(&self) {}
            ),
            "no `self`",
        );
        check_refused(
            quote!(
                const fn f() {}
            ),
            "`const fn`",
        );
        check_refused(
            quote!(
                unsafe fn f() {}
            ),
            "`unsafe`",
        );
        check_refused(
            quote!(
                extern "C" fn f() {}
            ),
            "`extern`",
        );
        check_refused(
            quote!(
                fn f<T>(x: T) {}
            ),
            "generic",
        );
        check_refused(
            quote!(
                fn f<const N: usize>() {}
            ),
            "generic",
        );
        check_refused(
            quote!(
                fn f()
                where
                    u8: Copy,
                {
                }
            ),
            "generic",
        );
    }

    #[test]
    fn parameters_are_owned_and_named() {
        check_refused(
            quote!(
                fn f(x: &str) {}
            ),
            "use `String`",
        );
        check_refused(
            quote!(
                fn f(x: Option<&[u8]>) {}
            ),
            "use a `Vec`",
        );
        check_refused(
            quote!(
                fn f(x: &u8) {}
            ),
            "take the value itself",
        );
        check_refused(
            quote!(
                fn f(x: Cow<'_, str>) {}
            ),
            "nothing to borrow from",
        );
        check_refused(
            quote!(
                fn f(x: impl Copy) {}
            ),
            "types with names",
        );
        check_refused(
            quote!(
                fn f((a, b): (u8, u8)) {}
            ),
            "plain name",
        );
        check_refused(
            quote!(
                fn f(_: u8) {}
            ),
            "plain name",
        );
        check_refused(
            quote!(
                fn f(#[inject] x: &Db) {}
            ),
            "`FromContext`",
        );
        check_refused(
            quote!(
                fn f(#[inject(now)] x: Db) {}
            ),
            "unexpected token",
        );
        check_refused(
            quote!(
                fn f(#[cfg(unix)] x: u8) {}
            ),
            "`cfg`",
        );
    }

    #[test]
    fn values_are_owned_and_named() {
        check_refused(
            quote!(
                fn f() -> &'static str {}
            ),
            "use `String`",
        );
        check_refused(
            quote!(
                fn f() -> impl Copy {}
            ),
            "type with a name",
        );
    }

    #[test]
    fn each_fault_is_reported() {
        let error = Function::parse(quote!(
            unsafe fn f(x: &str, _: u8) {}
        ))
        .err();
        assert_eq!(error.map(|error| error.len()), Some(3));
    }

    #[test]
    fn injected_parameters_dont_travel() {
        let function = Function::parse(quote!(
            fn f(mut x: u8, #[inject] db: State<Db>, r#type: Cow<'static, str>) {}
        ));
        let function = function.expect("it can be a task");
        assert_eq!(function.arguments().map(Parameter::text).collect::<Vec<_>>(), ["x", "type"]);
        assert!(function.parameters.iter().all(|parameter| parameter.declaration.attrs.is_empty()));
    }
}
