//! The router of the API and the monitor, and their listener.

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use pynenc_core::Error;
use pynenc_core::config::Setting;
use pynenc_engine::{Engine, Result};
use tokio::net::TcpListener;

use crate::access::Entrance;
use crate::config::WebConfig;
use crate::state::WebState;
use crate::{api, assets, pages};

/// The largest body of a request, in bytes. Arguments of a call have to fit in.
const MAX_BODY: usize = 16 << 20;

/// Nothing but the server's own scripts, styles and pictures. So a text that a page fails to escape can't run as a script.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

/// The API and the monitor of an app.
#[derive(Debug, Clone)]
pub struct Web {
    app: Engine,
    config: WebConfig,
    settings: Vec<Setting>,
}

/// An open listener, not yet serving.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    state: WebState,
}

impl Web {
    /// The API and the monitor of an app. `settings` are the settings of the process, to show them; a secret has to be masked.
    /// `app.web()` makes it as the section `web` says.
    pub fn new(app: &Engine, config: WebConfig, settings: Vec<Setting>) -> Self {
        Self { app: app.clone(), config, settings }
    }

    /// A router to mount in your own server. Its paths begin with the setting `web.prefix`, so merge it rather than nest it.
    ///
    /// If neither `web.credentials_file` nor `web.proxy_user_header` is set, your middleware authenticates each request and
    /// adds a [`User`](crate::User) to its extensions. A request without a user is refused.
    ///
    /// Serve with `into_make_service_with_connect_info::<SocketAddr>()`. Without it, all clients share one limit on logins, and
    /// no proxy is trusted.
    ///
    /// ```
    /// use axum::Router;
    /// use pynenc_web::Web;
    ///
    /// # fn mount(web: &Web) -> pynenc_engine::Result<Router> {
    /// let router: Router = Router::new().merge(web.router()?);
    /// # Ok(router)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Config`](pynenc_engine::Error::Config) if the file with the users can't be read.
    pub fn router(&self) -> Result<Router> {
        let entrance = Entrance::Mounted;
        Ok(router(&WebState::new(&self.app, self.config.clone(), self.settings.clone(), entrance)?))
    }

    /// Opens the listener.
    ///
    /// # Errors
    ///
    /// [`Error::Config`](pynenc_engine::Error::Config) if the address can't be used, the file with the users can't be read, or
    /// others can reach the address and no authentication is set.
    pub async fn listen(self) -> Result<Listening> {
        let unusable = |error: std::io::Error| {
            let error = Error::config("can't listen for the web monitor; choose another `web.listen`").caused_by(error);
            error.with("address", &self.config.listen)
        };
        let listener = TcpListener::bind(&*self.config.listen).await.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        let entrance = entrance(&self.config, address.ip())?;
        let state = WebState::new(&self.app, self.config, self.settings, entrance)?;
        Ok(Listening { listener, address, state })
    }
}

impl Listening {
    /// The address of the listener.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the overview, as seen on this machine.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.state.path("/"))
    }

    /// Serves until `stop` completes. Streams end then, and other open requests are finished.
    ///
    /// # Errors
    ///
    /// The listener fails.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let state = self.state.clone();
        let stop = async move {
            stop.await;
            state.close();
        };
        let service = router(&self.state).into_make_service_with_connect_info::<SocketAddr>();
        let served = axum::serve(self.listener, service).with_graceful_shutdown(stop).await;
        served.map_err(pynenc_engine::Error::other)
    }
}

/// The users who may enter through a listener's address.
fn entrance(config: &WebConfig, address: IpAddr) -> Result<Entrance, Error> {
    if address.is_loopback() {
        let host = config.listen.rsplit_once(':').map_or("", |(host, _)| host);
        let own = ["localhost", "127.0.0.1", "::1", host.trim_matches(['[', ']'])].map(str::to_owned);
        return Ok(Entrance::Loopback(
            own.into_iter().chain([address.to_string()]).chain(config.hosts.clone()).collect(),
        ));
    }
    if config.has_authentication() {
        return Ok(Entrance::Open);
    }
    let message = "other machines can reach the address of `web.listen`, so the web monitor needs authentication: set \
                   `web.credentials_file` to a file with users (`web password NAME` makes a line of it), or \
                   `web.proxy_user_header` behind a proxy that authenticates, or listen on 127.0.0.1";
    Err(Error::config(message).with("address", address))
}

fn router(state: &WebState) -> Router {
    let prefix = state.config.prefix.clone();
    let protected = |router: Router<WebState>| router.layer(from_fn_with_state(state.clone(), protect));
    let inside = Router::new()
        .nest("/api/v1", protected(api::router(&prefix)))
        .merge(pages::public())
        .merge(assets::router())
        .merge(pages::router(state))
        .with_state(state.clone());
    let router = if prefix.is_empty() {
        inside
    } else {
        let start = Redirect::permanent(&format!("{prefix}/"));
        Router::new().route(&prefix, get(move || async move { start })).nest(&format!("{prefix}/"), inside)
    };
    router.layer(DefaultBodyLimit::max(MAX_BODY)).layer(from_fn(add_security_headers))
}

/// Refuses a request of the API that its user may not send.
async fn protect(State(state): State<WebState>, mut request: Request, next: Next) -> Response {
    let client = state.access.client(&request);
    match state.access.authenticate(&request, &client) {
        Ok(user) => {
            request.extensions_mut().insert(user);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

async fn add_security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
