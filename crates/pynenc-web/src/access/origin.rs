//! Checks that a request comes from the monitor itself, and not from another site in the same browser.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};

/// Whether a page of another site made a browser send a request.
///
/// Browsers say so in `Sec-Fetch-Site`, and older ones in `Origin`. Programs that aren't browsers send neither.
pub(super) fn is_cross_site(headers: &HeaderMap, host: Option<&str>) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("invalid"));
    match (text("sec-fetch-site"), text(ORIGIN.as_str())) {
        (Some(site), _) => site != "same-origin" && site != "none",
        (None, Some(origin)) => {
            let authority = origin.parse::<Uri>().ok().and_then(|uri| uri.authority().map(ToString::to_string));
            authority.is_none() || authority.as_deref() != host
        }
        (None, None) => false,
    }
}

/// The host that a request is for.
pub(super) fn host_of<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    let authority = uri.authority().map(axum::http::uri::Authority::as_str);
    authority.or_else(|| headers.get(HOST).and_then(|host| host.to_str().ok()))
}

/// Whether a host is one of the names by which the listener is reached, whatever the port.
///
/// If nobody has to log in, another site could otherwise let its own name point to this listener, and read everything
/// through a browser of the same machine.
pub(super) fn is_own_host(host: Option<&str>, names: &[String]) -> bool {
    let Some(host) = host else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    names.iter().any(|own| own.eq_ignore_ascii_case(name.trim_start_matches('[').trim_end_matches(']')))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn requests_of_other_sites_are_recognized() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
        };
        for (sent, is_foreign) in [
            (&[][..], false),
            (&[("sec-fetch-site", "same-origin")][..], false),
            (&[("sec-fetch-site", "none")][..], false),
            (&[("sec-fetch-site", "same-site")][..], true),
            (&[("sec-fetch-site", "cross-site"), ("origin", "http://a:1")][..], true),
            (&[("origin", "http://a:1")][..], false),
            (&[("origin", "http://a:2")][..], true),
            (&[("origin", "null")][..], true),
        ] {
            assert_eq!(is_cross_site(&headers(sent), Some("a:1")), is_foreign, "{sent:?}");
        }
    }

    #[test]
    fn a_host_is_compared_without_its_port() {
        let names = ["localhost".to_owned(), "::1".to_owned()];
        for (host, is_own) in [
            (Some("localhost:8460"), true),
            (Some("LOCALHOST"), true),
            (Some("[::1]:8460"), true),
            (Some("[::1]"), true),
            (Some("example.com:8460"), false),
            (Some("localhost.example.com"), false),
            (None, false),
        ] {
            assert_eq!(is_own_host(host, &names), is_own, "{host:?}");
        }
    }
}
