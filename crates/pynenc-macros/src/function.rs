//! Parses the function under the attribute and checks that it can be a task.

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

/// A function that is a valid task.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) name: Ident,
    pub(crate) is_async: bool,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) output: ReturnType,
    pub(crate) body: Block,
}

/// A parameter of the function.
pub(crate) struct Parameter {
    /// The declaration without `#[inject]`.
    pub(crate) declaration: PatType,
    pub(crate) name: Ident,
    pub(crate) injected: bool,
}

impl Function {
    /// Parses a function.
    ///
    /// # Errors
    ///
    /// One error at each token that a task can't have.
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

    /// Returns the parameters that are arguments, that is, not injected.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|parameter| !parameter.injected)
    }

    /// Returns the return type; `()` if the function has none.
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
                return Err(refused(&receiver.self_token, "a task must be a free function, without `self`"));
            }
        };
        let name = plain_name(&declaration.pat)?;
        let injected = take_inject(&mut declaration.attrs)?;
        if injected { check_injected(&declaration.ty) } else { check_owned(&declaration.ty) }?;
        Ok(Self { declaration, name, injected })
    }

    /// Returns the parameter's name as text.
    pub(crate) fn text(&self) -> String {
        self.name.unraw().to_string()
    }
}

fn free_function(item: TokenStream) -> Result<ItemFn> {
    match syn::parse2(item)? {
        Item::Fn(function) => Ok(function),
        other => Err(refused(&other, "a task must be a free function")),
    }
}

/// Converts an inner attribute, which is inside of the function, to an outer one.
fn outer(mut attribute: Attribute) -> Attribute {
    attribute.style = AttrStyle::Outer;
    attribute
}

fn refuse_qualifiers(signature: &Signature, errors: &mut Accumulator) {
    if let Some(token) = &signature.constness {
        errors.push(refused(token, "a task can't be a `const fn`"));
    }
    if let Safety::Unsafe(token) = &signature.safety {
        errors.push(refused(token, "a task can't be `unsafe`: a runner can't uphold its safety contract"));
    }
    if let Some(abi) = &signature.abi {
        errors.push(refused(abi, "a task can't be `extern`"));
    }
    if let Some(variadic) = &signature.variadic {
        errors.push(refused(variadic, "a task can't be variadic"));
    }
    if let Some(parameter) = signature.generics.params.first() {
        errors.push(refused(parameter, "a task can't be generic: the task's name must identify one function"));
    }
    if let Some(clause) = &signature.generics.where_clause {
        errors.push(refused(&clause.where_token, "a task can't have a `where` clause, because it can't be generic"));
    }
}

fn plain_name(pattern: &Pat) -> Result<Ident> {
    match pattern {
        Pat::Ident(plain) if plain.by_ref.is_none() && plain.subpat.is_none() => Ok(plain.ident.clone()),
        other => Err(refused(other, "a task's parameter must be a plain name: arguments are passed by name")),
    }
}

/// Removes `#[inject]` from a parameter's attributes, and returns whether there was one.
fn take_inject(attributes: &mut Vec<Attribute>) -> Result<bool> {
    let is_inject = |attribute: &Attribute| attribute.path().is_ident("inject");
    if let Some(conditional) = attributes.iter().find(|attribute| is_conditional(attribute)) {
        return Err(refused(
            conditional,
            "a task's parameter can't have a `cfg`: callers and runners must agree on the parameters",
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
            let message = "an injected parameter can't be a reference: use an owned type that implements `FromContext`";
            Err(refused(&reference.and_token, message))
        }
        Type::ImplTrait(opaque) => Err(refused(opaque, "an injected parameter can't be `impl Trait`: name its type")),
        _ => Ok(()),
    }
}

fn check_output(output: &ReturnType) -> Result<()> {
    match output {
        ReturnType::Type(_, output) => match &**output {
            Type::Reference(reference) => {
                let message = format!("a task must return an owned value: {}", advice(&reference.elem));
                Err(refused(&reference.and_token, message))
            }
            Type::ImplTrait(opaque) => Err(refused(
                opaque,
                "a task can't return `impl Trait`: name the type, because callers decode the value",
            )),
            _ => Ok(()),
        },
        ReturnType::Default => Ok(()),
    }
}

/// Refuses the types that an argument can't have.
struct Owned<'a>(&'a mut Accumulator);

impl<'ast> Visit<'ast> for Owned<'_> {
    fn visit_type_reference(&mut self, reference: &'ast syn::TypeReference) {
        let message = format!("a task's arguments must be owned: {}", advice(&reference.elem));
        self.0.push(refused(&reference.and_token, message));
    }

    fn visit_type_impl_trait(&mut self, opaque: &'ast syn::TypeImplTrait) {
        let message = "a task's argument can't be `impl Trait`: name the type, because runners decode the argument";
        self.0.push(refused(opaque, message));
    }

    fn visit_lifetime(&mut self, lifetime: &'ast syn::Lifetime) {
        if lifetime.ident != "static" {
            self.0.push(refused(lifetime, "a task's arguments must be owned: a runner has nothing to borrow from"));
        }
        visit::visit_lifetime(self, lifetime);
    }
}

fn advice(borrowed: &Type) -> &'static str {
    match borrowed {
        Type::Path(path) if path.path.is_ident("str") => "use `String`",
        Type::Slice(_) => "use a `Vec`",
        _ => "use the type without the reference",
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
    fn functions_that_cannot_be_tasks_are_refused() {
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
            "without `self`",
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
    fn parameters_must_be_owned_and_named() {
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
            "without the reference",
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
            "name the type",
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
    fn returned_values_must_be_owned_and_named() {
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
            "name the type",
        );
    }

    #[test]
    fn all_errors_are_reported() {
        let error = Function::parse(quote!(
            unsafe fn f(x: &str, _: u8) {}
        ))
        .err();
        assert_eq!(error.map(|error| error.len()), Some(3));
    }

    #[test]
    fn injected_parameters_are_not_arguments() {
        let function = Function::parse(quote!(
            fn f(mut x: u8, #[inject] db: State<Db>, r#type: Cow<'static, str>) {}
        ));
        let function = function.expect("the function can be a task");
        assert_eq!(function.arguments().map(Parameter::text).collect::<Vec<_>>(), ["x", "type"]);
        assert!(function.parameters.iter().all(|parameter| parameter.declaration.attrs.is_empty()));
    }
}
