//! What a task is made of.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Meta};

use crate::function::{Function, Parameter};
use crate::options::{NO_ERRORS, Options};
use crate::patch;

/// The items that stand for `function`.
///
/// Local names are those of the macro alone, so that no name of the user's is caught; lints see generated code.
pub(crate) fn expand(function: &Function, options: &Options) -> TokenStream {
    let facade = options.facade.as_ref().map_or_else(|| quote!(::pynenc), ToTokens::to_token_stream);
    let task =
        Task { function, options, private: quote!(#facade::__private), arguments: arguments_name(&function.name) };
    [task.call(), task.marker(), task.arguments(), task.definition()].into_iter().collect()
}

/// A struct of its own, since the fields keep the parameters' types.
fn arguments_name(task: &Ident) -> Ident {
    format_ident!("__{}_arguments", task.unraw(), span = Span::call_site())
}

/// What the items are made from.
struct Task<'a> {
    function: &'a Function,
    options: &'a Options,
    /// The path to what the expansion uses.
    private: TokenStream,
    /// The name of the arguments' struct.
    arguments: Ident,
}

impl Task<'_> {
    /// The function that makes a call. It may be unused: a task can be called by name or by a trigger.
    fn call(&self) -> TokenStream {
        let Self { function: Function { visibility, name, .. }, private, arguments, .. } = self;
        let attributes = self.shared_attributes(|attribute| is_any(attribute, &["doc", "deprecated"]));
        let names: Vec<_> = self.function.arguments().map(|argument| &argument.name).collect();
        let types = self.function.arguments().map(|argument| &argument.declaration.ty);
        quote_spanned! {Span::mixed_site()=>
            #(#attributes)*
            #[allow(
                dead_code, clippy::too_many_arguments, clippy::fn_params_excessive_bools, clippy::used_underscore_binding,
                reason = "a task can be called by name alone, and its parameters are judged at its body"
            )]
            #visibility fn #name(#(#names: #types),*) -> #private::Call<#name> {
                #private::Call::new(#arguments { #(#names),* })
            }
        }
    }

    /// The type of the task's name, with the body and the name.
    fn marker(&self) -> TokenStream {
        let Self { function: Function { visibility, name, .. }, .. } = self;
        let attributes: Vec<_> = self.shared_attributes(|_| false).collect();
        let doc = format!("The task `{}`.", name.unraw());
        let (task_name, run) = (self.name(), self.run());
        quote_spanned! {Span::mixed_site()=>
            #(#attributes)*
            #[doc = #doc]
            #[allow(dead_code, non_camel_case_types, reason = "it has the name of the function")]
            #[derive(::core::fmt::Debug)]
            #visibility struct #name {}

            #(#attributes)*
            impl #name {
                /// The name it is known by.
                #visibility const NAME: &'static str = #task_name;

                #run
            }
        }
    }

    fn name(&self) -> TokenStream {
        let given = self.options.name.as_ref().map(|name| name.0.to_token_stream());
        given.unwrap_or_else(|| {
            let name = self.function.name.unraw().to_string();
            quote!(::core::concat!(::core::module_path!(), "::", #name))
        })
    }

    /// The body. It keeps the function's own attributes, but for those that speak to callers.
    fn run(&self) -> TokenStream {
        let Function { attributes, visibility, name, is_async, parameters, output, body } = self.function;
        let kept = attributes.iter().filter(|attribute| !is_any(attribute, &["doc", "deprecated", "cfg"]));
        let asyncness = is_async.then(|| quote!(async));
        let declarations = parameters.iter().map(|parameter| &parameter.declaration);
        let run = Ident::new("run", name.span());
        quote! {
            /// Runs the body itself: nothing is submitted, recorded or repeated.
            #[allow(
                clippy::missing_errors_doc, clippy::missing_panics_doc, clippy::must_use_candidate,
                clippy::needless_pass_by_value, clippy::unused_async,
                reason = "callers see the call alone, arguments are owned, and `async` says where the body runs"
            )]
            #(#kept)*
            #visibility #asyncness fn #run(#(#declarations),*) #output #body
        }
    }

    /// The arguments as a struct, which triggers read by name.
    fn arguments(&self) -> TokenStream {
        let Self { function: Function { visibility, .. }, private, arguments, .. } = self;
        let attributes: Vec<_> = self.shared_attributes(|_| false).collect();
        let fields = self.function.arguments().map(|Parameter { name, declaration, .. }| {
            let of = &declaration.ty;
            quote!(#visibility #name: #of)
        });
        let (put, take): (Vec<_>, Vec<_>) = self.function.arguments().map(put_and_take).unzip();
        quote_spanned! {Span::mixed_site()=>
            #(#attributes)*
            #[doc(hidden)]
            #[allow(
                missing_debug_implementations, non_camel_case_types, clippy::struct_excessive_bools,
                clippy::struct_field_names, clippy::pub_underscore_fields,
                reason = "the fields are the function's parameters"
            )]
            #visibility struct #arguments { #(#fields),* }

            #(#attributes)*
            #[automatically_derived]
            #[allow(unused_variables, clippy::used_underscore_binding, reason = "there may be no arguments")]
            impl #private::Arguments for #arguments {
                fn encode(&self, sink: &mut #private::ArgumentSink<'_>) -> #private::ComponentResult<()> {
                    #(sink.#put?;)*
                    ::core::result::Result::Ok(())
                }

                fn decode(source: &mut #private::ArgumentSource) -> #private::ComponentResult<Self> {
                    let arguments = Self { #(#take?),* };
                    source.finish()?;
                    ::core::result::Result::Ok(arguments)
                }
            }
        }
    }

    /// What the engine reads, told to it at link time.
    fn definition(&self) -> TokenStream {
        let Self { function: Function { name, .. }, private, arguments, .. } = self;
        let attributes = self.shared_attributes(|_| false);
        let output = self.function.output_type();
        let texts = self.function.arguments().map(Parameter::text);
        let options = patch::patch(self.options, private);
        let (value, body, requires, attachments) = (self.value(), self.body(), self.requires(), self.attachments());
        let retry_needs_errors = self.options.retry_span().map(retry_needs_errors);
        quote_spanned! {Span::mixed_site()=>
            #(#attributes)*
            const _: () = {
                const __FALLIBLE: bool = {
                    #[allow(unused_imports, reason = "the type decides which one is used")]
                    use #private::Infallible as _;
                    #private::Ret::<#output>::FALLIBLE
                };

                #retry_needs_errors

                #[automatically_derived]
                impl #private::Task for #name {
                    type Arguments = #arguments;
                    #value

                    fn definition() -> &'static #private::TaskDefinition {
                        #[allow(clippy::needless_update, reason = "every option may be given")]
                        static __DEFINITION: #private::TaskDefinition = #private::TaskDefinition {
                            name: #name::NAME,
                            arguments: &[#(#texts),*],
                            options: #options,
                            body: #body,
                            check: #private::check_arguments::<#name>,
                            requires: #requires,
                            attachments: #attachments,
                        };
                        &__DEFINITION
                    }
                }

                #private::inventory::submit! { #private::LinkedTask(<#name as #private::Task>::definition) }
            };
        }
    }

    /// The value's type, where it shows if the value can't travel.
    fn value(&self) -> TokenStream {
        let (private, output) = (&self.private, self.function.output_type());
        quote_spanned!(at(&output)=> type Output = <#output as #private::Returns<__FALLIBLE>>::Output;)
    }

    fn body(&self) -> TokenStream {
        let (private, steps) = (&self.private, self.steps());
        let context =
            if self.injected().next().is_some() { quote_spanned!(Span::mixed_site()=> context) } else { quote!(_) };
        let place = at(&self.function.name);
        if self.function.is_async {
            let future = quote_spanned!(place=> ::std::boxed::Box::pin(async move { #steps }));
            quote_spanned!(Span::mixed_site()=> #private::Body::Async(|#context, mut source| #future))
        } else {
            quote_spanned!(Span::mixed_site()=> #private::Body::Blocking(|#context, mut source| { #steps }))
        }
    }

    /// Decode, inject, run, encode.
    fn steps(&self) -> TokenStream {
        let Self { function: Function { name, is_async, parameters, .. }, private, arguments, .. } = self;
        let (output, judge) = (self.function.output_type(), self.judge());
        let inject = self.injected().map(|parameter| inject(parameter, private));
        let values = parameters.iter().map(value);
        let wait = is_async.then(|| quote!(.await));
        let finish = quote_spanned! {at(&output)=>
            #private::finish::<#output, __FALLIBLE>(#name::run(#(#values),*)#wait, &*serializer, #judge)
        };
        quote_spanned! {Span::mixed_site()=>
            let serializer = source.serializer();
            let arguments = <#arguments as #private::Arguments>::decode(&mut source).map_err(#private::Failure::Arguments)?;
            #(#inject)*
            #finish
        }
    }

    /// Tells an error's kind, and whether it is worth a repeat.
    fn judge(&self) -> TokenStream {
        let private = &self.private;
        let worth_a_retry = match (&self.options.retry_for, &self.options.retry_if) {
            (Some(pattern), _) => {
                let pattern = &pattern.0;
                quote_spanned!(Span::mixed_site()=> ::core::matches!(error, #pattern))
            }
            (None, Some(judge)) => quote_spanned!(at(judge)=> { let judge: fn(&_) -> bool = #judge; judge }(error)),
            (None, None) => quote!(true),
        };
        quote_spanned! {Span::mixed_site()=>
            |error| {
                #[allow(unused_imports, reason = "the type decides which one is used")]
                use #private::{KindByType as _, KindByVariant as _};
                ((&#private::KindOf(error)).kind(), #worth_a_retry)
            }
        }
    }

    fn requires(&self) -> TokenStream {
        let private = &self.private;
        let types: Vec<_> = self.injected().map(|parameter| &parameter.declaration.ty).collect();
        if types.is_empty() {
            return quote!(|_| {});
        }
        quote_spanned! {Span::mixed_site()=>
            |requirements| { #(<#types as #private::FromContext>::requires(requirements);)* }
        }
    }

    fn attachments(&self) -> TokenStream {
        let (private, name) = (&self.private, &self.function.name);
        let Some(triggers) = &self.options.triggers else { return quote!(|_| {}) };
        let conditions = quote_spanned!(at(triggers)=> #private::triggers::of_task::<#name>(#triggers, || #name()));
        quote_spanned!(Span::mixed_site()=> |attachments| #private::triggers::attach(attachments, || #conditions))
    }

    fn injected(&self) -> impl Iterator<Item = &Parameter> {
        self.function.parameters.iter().filter(|parameter| parameter.injected)
    }

    /// The function's attributes that hold for every item: conditions, what lints are to leave alone, and `also`.
    fn shared_attributes(&self, also: fn(&Attribute) -> bool) -> impl Iterator<Item = TokenStream> {
        self.function.attributes.iter().filter_map(move |attribute| match &attribute.meta {
            Meta::List(lints) if is_any(attribute, &["allow", "expect"]) => {
                let lints = &lints.tokens;
                Some(quote!(#[allow(#lints)]))
            }
            _ if also(attribute) || attribute.path().is_ident("cfg") => Some(attribute.to_token_stream()),
            _ => None,
        })
    }
}

/// Explains the errors that a judge of errors gets where there are none.
fn retry_needs_errors(option: Span) -> TokenStream {
    quote_spanned!(at(&option)=> const _: () = ::core::assert!(__FALLIBLE, #NO_ERRORS);)
}

/// `put(..)` and `field: source.take(..)`, at the place of the type: there it shows if it can't travel.
fn put_and_take(argument: &Parameter) -> (TokenStream, TokenStream) {
    let (text, place) = (argument.text(), at(&argument.declaration.ty));
    let mut name = argument.name.clone();
    name.set_span(name.span().located_at(place));
    let put = quote_spanned!(place=> put(#text, &self.#name));
    let take = quote_spanned!(place=> #name: source.take(#text));
    (put, take)
}

fn inject(parameter: &Parameter, private: &TokenStream) -> TokenStream {
    let (local, of) = (injected_name(parameter), &parameter.declaration.ty);
    quote_spanned! {at(of)=>
        let #local = <#of as #private::FromContext>::from_context(&context).map_err(#private::Failure::Injection)?;
    }
}

/// What `run` is given for the parameter.
fn value(parameter: &Parameter) -> TokenStream {
    if parameter.injected {
        return injected_name(parameter).to_token_stream();
    }
    let name = &parameter.name;
    quote_spanned!(Span::mixed_site()=> arguments.#name)
}

fn injected_name(parameter: &Parameter) -> Ident {
    format_ident!("injected_{}", parameter.name.unraw(), span = Span::mixed_site())
}

/// The place of `tokens`, with the names of the macro.
fn at(tokens: &impl Spanned) -> Span {
    Span::mixed_site().located_at(tokens.span())
}

fn is_any(attribute: &Attribute, names: &[&str]) -> bool {
    names.iter().any(|name| attribute.path().is_ident(name))
}
