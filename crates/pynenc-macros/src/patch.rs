//! Generates the `TaskPatch` constant from the options. The engine reads that constant.

use std::time::Duration;

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;

use crate::options::Options;
use crate::values::{Backoff, CacheArgs, Concurrency, Exponential, Fence};

/// Generates a `TaskPatch` of the options that are set.
pub(crate) fn patch(options: &Options, private: &TokenStream) -> TokenStream {
    let fields = [
        field("queue", options.queue.as_ref().map(|queue| borrowed(&queue.0))),
        field("priority", options.priority.as_ref().map(|priority| Literal::u32_unsuffixed(priority.0))),
        field("max_retries", options.max_retries.as_ref().map(|retries| Literal::u32_unsuffixed(retries.0))),
        field("backoff", options.backoff.as_ref().map(|backoff| self::backoff(backoff, private))),
        field("timeout", options.timeout.as_ref().map(|timeout| duration(timeout.0))),
        field("registration_concurrency", options.registration_concurrency.as_ref().map(|of| concurrency(of, private))),
        field("running_concurrency", options.running_concurrency.as_ref().map(|of| concurrency(of, private))),
        field("running_limit", options.running_limit.as_ref().map(|limit| Literal::u32_unsuffixed(limit.0))),
        field("reroute_on_concurrency_control", options.reroute_on_concurrency_control),
        field("on_diff_non_key_args_raise", options.on_diff_non_key_args_raise),
        field("disable_cache_args", options.disable_cache_args.as_ref().map(cache_args)),
        field("force_new_workflow", options.force_new_workflow),
        field("fence", options.fence.as_ref().map(|fence| self::fence(fence, private))),
    ];
    let fields: Vec<_> = fields.into_iter().flatten().collect();
    if fields.is_empty() {
        return quote!(#private::TaskPatch::NONE);
    }
    quote!(#private::TaskPatch { #(#fields,)* ..#private::TaskPatch::NONE })
}

fn field(name: &str, value: Option<impl ToTokens>) -> Option<TokenStream> {
    let (name, value) = (Ident::new(name, proc_macro2::Span::call_site()), value?);
    Some(quote!(#name: ::core::option::Option::Some(#value)))
}

fn borrowed(text: &str) -> TokenStream {
    quote!(::std::borrow::Cow::Borrowed(#text))
}

fn names<'a>(names: impl IntoIterator<Item = &'a Ident>) -> TokenStream {
    let names = names.into_iter().map(|name| borrowed(&name.unraw().to_string()));
    quote!(::std::borrow::Cow::Borrowed(&[#(#names),*]))
}

fn duration(duration: Duration) -> TokenStream {
    let (seconds, nanos) =
        (Literal::u64_unsuffixed(duration.as_secs()), Literal::u32_unsuffixed(duration.subsec_nanos()));
    quote!(::core::time::Duration::new(#seconds, #nanos))
}

fn concurrency(concurrency: &Concurrency, private: &TokenStream) -> TokenStream {
    let variant = match concurrency {
        Concurrency::Disabled => quote!(Disabled),
        Concurrency::Task => quote!(Task),
        Concurrency::Arguments => quote!(Arguments),
        Concurrency::Keys(keys) => {
            let keys = names(keys);
            quote!(Keys(#keys))
        }
    };
    quote!(#private::Concurrency::#variant)
}

fn backoff(backoff: &Backoff, private: &TokenStream) -> TokenStream {
    match backoff {
        Backoff::None => quote!(#private::Backoff::None),
        Backoff::Constant(wait) => {
            let wait = duration(wait.0);
            quote!(#private::Backoff::Constant(#wait))
        }
        Backoff::Exponential(exponential) => self::exponential(exponential, private),
    }
}

/// Parameters that aren't set have the values of `Backoff::default()`.
fn exponential(exponential: &Exponential, private: &TokenStream) -> TokenStream {
    let base = duration(exponential.base.as_ref().map_or(Duration::from_secs(1), |base| base.0));
    let factor = Literal::f64_unsuffixed(exponential.factor.as_ref().map_or(2.0, |factor| factor.0));
    let max = duration(exponential.max.as_ref().map_or(Duration::from_secs(300), |max| max.0));
    let jitter = exponential.jitter.unwrap_or(true);
    quote!(#private::Backoff::Exponential { base: #base, factor: #factor, max: #max, jitter: #jitter })
}

fn cache_args(names: &CacheArgs) -> TokenStream {
    match names {
        CacheArgs::All => quote!(::std::borrow::Cow::Borrowed(&[::std::borrow::Cow::Borrowed("*")])),
        CacheArgs::Some(names) => self::names(names),
    }
}

fn fence(fence: &Fence, private: &TokenStream) -> TokenStream {
    match fence {
        Fence::Run => quote!(#private::Fence::Run),
        Fence::Cancel => quote!(#private::Fence::Cancel),
    }
}
