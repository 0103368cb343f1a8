//! The style sheet, the scripts and the icon of the monitor, which are part of the program.

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use pynenc_core::Digest;

use crate::state::WebState;

/// A file of the monitor.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    content: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

const ASSETS: &[Asset] = &[
    Asset { name: "geometry.mjs", content_type: SCRIPT, content: include_str!("assets/geometry.mjs") },
    Asset { name: "timeline.mjs", content_type: SCRIPT, content: include_str!("assets/timeline.mjs") },
    Asset { name: "style.css", content_type: "text/css; charset=utf-8", content: include_str!("assets/style.css") },
    Asset {
        name: "monitor.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_str!("assets/monitor.js"),
    },
    Asset { name: "icon.svg", content_type: "image/svg+xml", content: include_str!("assets/icon.svg") },
];

pub(crate) fn router() -> Router<WebState> {
    Router::new().route("/assets/{name}", get(serve))
}

/// Browsers ask each time whether a file has changed, so that a new version of the program is never shown with old scripts.
async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return (StatusCode::NOT_FOUND, "there is no such file\n").into_response();
    };
    let tag = format!("\"{}\"", Digest::of(asset.content.as_bytes()));
    let caching = [(CACHE_CONTROL, "no-cache".to_owned()), (ETAG, tag.clone())];
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(CONTENT_TYPE, asset.content_type)], asset.content).into_response()
}
