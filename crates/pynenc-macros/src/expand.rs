//! Generates the items of a task.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Meta};

use crate::function::{Function, Parameter};
use crate::options::{NO_ERRORS, Options};
use crate::patch;

/// Generates the items of the task that `function` defines.
///
/// Local names have the span of the macro, so that they can't clash with the user's names.
pub(crate) fn expand(function: &Function, options: &Options) -> TokenStream {
    let facade = options.facade.as_ref().map_or_else(|| quote!(::pynenc), ToTokens::to_token_stream);
    let task =
        Task { function, options, private: quote!(#facade::__private), arguments: arguments_name(&function.name) };
    [task.call(), task.marker(), task.arguments(), task.definition()].into_iter().collect()
}

/// Returns the name of the struct that holds the task's arguments.
fn arguments_name(task: &Ident) -> Ident {
    format_ident!("__{}_arguments", task.unraw(), span = Span::call_site())
}

/// The input of the generated items.
struct Task<'a> {
    function: &'a Function,
    options: &'a Options,
    /// The path of the module with the items that generated code uses.
    private: TokenStream,
    /// The name of the struct that holds the arguments.
    arguments: Ident,
}

impl Task<'_> {
    /// The function that creates a call. It may be unused: a task can also be called by name or by a trigger.
    fn call(&self) -> TokenStream {
        let Self { function: Function { visibility, name, .. }, private, arguments, .. } = self;
        let attributes = self.shared_attributes(|attribute| is_any(attribute, &["doc", "deprecated"]));
        let names: Vec<_> = self.function.arguments().map(|argument| &argument.name).collect();
        let types = self.function.arguments().map(|argument| &argument.declaration.ty);
        quote_spanned! {Span::mixed_site()=>
            #(#attributes)*
            #[allow(
                dead_code, clippy::too_many_arguments, clippy::fn_params_excessive_bools, clippy::used_underscore_binding,
                reason = "a task can be called by name alone, and lints check the parameters of `run`"
            )]
            #visibility fn #name(#(#names: #types),*) -> #private::Call<#name> {
                #private::Call::new(#arguments { #(#names),* })
            }
        }
    }

    /// The type with the function's name. It has the task's name and the task function.
    fn marker(&self) -> TokenStream {
        let Self { function: Function { visibility, name, .. }, .. } = self;
        let attributes: Vec<_> = self.shared_attributes(|_| false).collect();
        let doc = format!("The task `{}`.", name.unraw());
        let (task_name, run) = (self.name(), self.run());
        quote_spanned! {Span::mixed_site()=>
            #(#attributes)*
            #[doc = #doc]
            #[allow(dead_code, non_camel_case_types, reason = "the type has the name of the function")]
            #[derive(::core::fmt::Debug)]
            #visibility struct #name {}

            #(#attributes)*
            impl #name {
                /// The task's name.
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

    /// The task function. It keeps the attributes of the function, except those for callers.
    fn run(&self) -> TokenStream {
        let Function { attributes, visibility, name, is_async, parameters, output, body } = self.function;
        let kept = attributes.iter().filter(|attribute| !is_any(attribute, &["doc", "deprecated", "cfg"]));
        let asyncness = is_async.then(|| quote!(async));
        let declarations = parameters.iter().map(|parameter| &parameter.declaration);
        let run = Ident::new("run", name.span());
        quote! {
            /// Runs the task function itself: nothing is submitted, recorded or retried.
            #[allow(
                clippy::missing_errors_doc, clippy::missing_panics_doc, clippy::must_use_candidate,
                clippy::needless_pass_by_value, clippy::unused_async,
                reason = "users call another function, arguments are owned, and `async` decides where the function runs"
            )]
            #(#kept)*
            #visibility #asyncness fn #run(#(#declarations),*) #output #body
        }
    }

    /// The struct of the arguments. Triggers read its fields by name.
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

    /// The task's definition, which the engine finds at link time.
    fn definition(&self) -> TokenStream {
        let Self { function: Function { name, .. }, private, arguments, .. } = self;
        let attributes = self.shared_attributes(|_| false);
        let output = self.function.output_type();
        let texts = self.function.arguments().map(Parameter::text);
        let options = patch::patch(self.options, private);
        let (value, task_function) = (self.value(), self.task_function());
        let (requires, attachments) = (self.requires(), self.attachments());
        let retry_needs_errors = self.options.retry_span().map(retry_needs_errors);
        quote_spanned! {Span::mixed_site()=>
            #(#attributes)*
            const _: () = {
                const __FALLIBLE: bool = {
                    #[allow(unused_imports, reason = "the type decides which one is used")]
                    use #private::Infallible as _;
                    #private::ReturnType::<#output>::FALLIBLE
                };

                #retry_needs_errors

                #[automatically_derived]
                impl #private::Task for #name {
                    type Arguments = #arguments;
                    #value

                    fn definition() -> &'static #private::TaskDefinition {
                        #[allow(clippy::needless_update, reason = "the attribute may set every option")]
                        static __DEFINITION: #private::TaskDefinition = #private::TaskDefinition {
                            name: #name::NAME,
                            arguments: &[#(#texts),*],
                            options: #options,
                            function: #task_function,
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

    /// The type of the returned value. Its span is that of the return type, so that a missing serde trait is reported
    /// there.
    fn value(&self) -> TokenStream {
        let (private, output) = (&self.private, self.function.output_type());
        quote_spanned!(at(&output)=> type Output = <#output as #private::TaskReturn<__FALLIBLE>>::Output;)
    }

    fn task_function(&self) -> TokenStream {
        let (private, steps) = (&self.private, self.steps());
        let name_span = at(&self.function.name);
        if self.function.is_async {
            let future = quote_spanned!(name_span=> ::std::boxed::Box::pin(async move { #steps }));
            quote_spanned!(Span::mixed_site()=> #private::TaskFunction::Async(|mut source| #future))
        } else {
            quote_spanned!(Span::mixed_site()=> #private::TaskFunction::Blocking(|mut source| { #steps }))
        }
    }

    /// The steps of an attempt: decode the arguments, inject, run, encode the value.
    fn steps(&self) -> TokenStream {
        let Self { function: Function { name, is_async, parameters, .. }, private, arguments, .. } = self;
        let (output, classify) = (self.function.output_type(), self.classify_error());
        let context = self.injected().next().is_some().then(|| {
            quote_spanned! {Span::mixed_site()=>
                let context = #private::TaskContext::current().map_err(#private::Failure::Injection)?;
            }
        });
        let inject = self.injected().map(|parameter| inject(parameter, private));
        let values = parameters.iter().map(value);
        let wait = is_async.then(|| quote!(.await));
        let finish = quote_spanned! {at(&output)=>
            #private::finish::<#output, __FALLIBLE>(#name::run(#(#values),*)#wait, &*serializer, #classify)
        };
        quote_spanned! {Span::mixed_site()=>
            let serializer = source.serializer();
            let arguments = <#arguments as #private::Arguments>::decode(&mut source).map_err(#private::Failure::Arguments)?;
            #context
            #(#inject)*
            #finish
        }
    }

    /// A closure that returns the kind of an error, and whether the error is retried.
    fn classify_error(&self) -> TokenStream {
        let private = &self.private;
        let is_retried = match (&self.options.retry_for, &self.options.retry_if) {
            (Some(pattern), _) => {
                let pattern = &pattern.0;
                quote_spanned!(Span::mixed_site()=> ::core::matches!(error, #pattern))
            }
            (None, Some(path)) => quote_spanned!(at(path)=> { let retry_if: fn(&_) -> bool = #path; retry_if }(error)),
            (None, None) => quote!(true),
        };
        quote_spanned! {Span::mixed_site()=>
            |error| {
                #[allow(unused_imports, reason = "the type decides which one is used")]
                use #private::{KindByType as _, KindByVariant as _};
                ((&#private::KindOf(error)).kind(), #is_retried)
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

    /// The function's attributes that every item keeps: `cfg`, `allow`, `expect`, and those that `also` accepts.
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

/// A check that a task with `retry_for` or `retry_if` returns a `Result`.
fn retry_needs_errors(option: Span) -> TokenStream {
    quote_spanned!(at(&option)=> const _: () = ::core::assert!(__FALLIBLE, #NO_ERRORS);)
}

/// `put(..)` and `field: source.take(..)`. Their span is that of the type, so that a missing serde trait is reported
/// there.
fn put_and_take(argument: &Parameter) -> (TokenStream, TokenStream) {
    let (text, type_span) = (argument.text(), at(&argument.declaration.ty));
    let mut name = argument.name.clone();
    name.set_span(name.span().located_at(type_span));
    let put = quote_spanned!(type_span=> put(#text, &self.#name));
    let take = quote_spanned!(type_span=> #name: source.take(#text));
    (put, take)
}

fn inject(parameter: &Parameter, private: &TokenStream) -> TokenStream {
    let (local, of) = (injected_name(parameter), &parameter.declaration.ty);
    quote_spanned! {at(of)=>
        let #local = <#of as #private::FromContext>::from_context(&context).map_err(#private::Failure::Injection)?;
    }
}

/// The argument that `run` gets for the parameter.
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

/// Returns the span of `tokens` with the name resolution of the macro.
fn at(tokens: &impl Spanned) -> Span {
    Span::mixed_site().located_at(tokens.span())
}

fn is_any(attribute: &Attribute, names: &[&str]) -> bool {
    names.iter().any(|name| attribute.path().is_ident(name))
}
