//! Finds the user of a request, and refuses what the user may not do.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request};
use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::{HeaderMap, Method};
use ipnet::IpNet;
use pynenc_core::Result;

use super::credentials::CredentialsFile;
use super::login_limit::LoginLimit;
use super::origin::{host_of, is_cross_site, is_own_host};
use super::sessions::Sessions;
use super::user::{Role, User};
use crate::config::WebConfig;
use crate::problem::Problem;

/// The name of the cookie with the secret of a login.
const COOKIE_NAME: &str = "pynenc_session";

/// Where requests come from, if they bring no proof of who sent them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// From this machine alone, for one of these host names.
    Loopback(Vec<String>),
    /// From anywhere.
    Open,
    /// Through a router of the program, which adds the user.
    Mounted,
}

/// The users of the API and the monitor, and their rights.
#[derive(Debug)]
pub(crate) struct Access {
    entrance: Entrance,
    credentials: Option<CredentialsFile>,
    proxies: Vec<IpNet>,
    proxy_user_header: Option<String>,
    proxy_operators: Vec<String>,
    actions: bool,
    sessions: Sessions,
    logins: LoginLimit,
    cookie_path: String,
}

/// The sender of a request, as far as the network knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Client {
    /// The address; `None` if the program's own server doesn't say it.
    pub(crate) address: Option<IpAddr>,
    /// Whether the browser uses HTTPS.
    pub(crate) is_https: bool,
    /// The host that the browser asks for, as a trusted proxy says if there is one.
    host: Option<String>,
    /// The host in the request itself.
    direct_host: Option<String>,
    /// Whether the request came through a trusted proxy.
    is_proxied: bool,
}

impl Client {
    /// The scheme and the host by which the sender reaches the server.
    pub(crate) fn origin(&self) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        format!("{scheme}://{}", self.host.as_deref().unwrap_or("localhost"))
    }
}

impl Access {
    /// # Errors
    ///
    /// A setting is invalid, or the file with the users can't be read.
    pub(crate) fn new(config: &WebConfig, entrance: Entrance) -> Result<Self> {
        let file = &config.credentials_file;
        Ok(Self {
            entrance,
            credentials: if file.is_empty() { None } else { Some(CredentialsFile::open(file)?) },
            proxies: config.proxies()?,
            proxy_user_header: Some(config.proxy_user_header.clone()).filter(|header| !header.is_empty()),
            proxy_operators: config.proxy_operators.clone(),
            actions: config.actions,
            sessions: Sessions::new(config.session_lifetime),
            logins: LoginLimit::new(),
            cookie_path: format!("{}/", config.prefix),
        })
    }

    /// Whether users log in with a password.
    pub(crate) fn has_login(&self) -> bool {
        self.credentials.is_some()
    }

    /// Whether a user may change something.
    pub(crate) fn may_act(&self, user: &User) -> bool {
        self.actions && user.role == Role::Operator
    }

    /// The sender of a request.
    pub(crate) fn client(&self, request: &Request) -> Client {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
        let headers = request.headers();
        let is_trusted = |address: &IpAddr| self.proxies.iter().any(|network| network.contains(address));
        let is_proxied = peer.as_ref().is_some_and(is_trusted);
        let header = |name: &str| last_header(headers, name).filter(|_| is_proxied);
        let forwarded = header("x-forwarded-for").and_then(|list| {
            // Each proxy appends the address that it saw. So the last one that isn't a proxy sent the request.
            let mut addresses = list.rsplit(',').map_while(|address| address.trim().parse::<IpAddr>().ok());
            addresses.find(|address| !is_trusted(address))
        });
        let direct_host = host_of(headers, request.uri());
        let host = header("x-forwarded-host").or(direct_host);
        Client {
            address: forwarded.or(peer),
            is_https: header("x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
            host: host.map(str::to_owned),
            direct_host: direct_host.map(str::to_owned),
            is_proxied,
        }
    }

    /// The user of a request.
    ///
    /// # Errors
    ///
    /// The request brings no proof, or a wrong one.
    fn user(&self, request: &Request, client: &Client) -> Result<User, Problem> {
        if let Some(user) = request.extensions().get::<User>() {
            return Ok(user.clone());
        }
        let headers = request.headers();
        if let Some(token) = bearer_token(headers) {
            let users = self.credentials.as_ref().map(CredentialsFile::users);
            let user = users.and_then(|users| users.of_token(token).cloned());
            return user.ok_or_else(|| Problem::unauthenticated("the token isn't valid"));
        }
        if let Some(user) = self.user_of_proxy(headers, client) {
            return Ok(user);
        }
        if let Some(user) = cookie(headers).and_then(|secret| self.user_of_session(secret)) {
            return Ok(user);
        }
        self.anonymous(client)
    }

    fn user_of_proxy(&self, headers: &HeaderMap, client: &Client) -> Option<User> {
        let name = last_header(headers, self.proxy_user_header.as_deref()?).filter(|_| client.is_proxied)?;
        let is_operator = self.proxy_operators.iter().any(|operator| operator == name);
        let role = if is_operator { Role::Operator } else { Role::Viewer };
        (!name.is_empty()).then(|| User { name: name.to_owned(), role })
    }

    /// The user of a login. A user who was removed from the file, or whose role was changed there, is treated so at once.
    fn user_of_session(&self, secret: &str) -> Option<User> {
        let name = self.sessions.user(secret)?;
        let role = self.credentials.as_ref()?.users().role(&name)?;
        Some(User { name, role })
    }

    fn anonymous(&self, client: &Client) -> Result<User, Problem> {
        let is_authenticated = self.credentials.is_some() || self.proxy_user_header.is_some();
        match &self.entrance {
            _ if is_authenticated => {
                Err(Problem::unauthenticated("log in, or send a token as `Authorization: Bearer …`"))
            }
            // A page of another site can add headers of proxies, if its name points to this machine.
            Entrance::Loopback(names) if is_own_host(client.direct_host.as_deref(), names) => {
                Ok(User { name: "local".to_owned(), role: Role::Operator })
            }
            Entrance::Loopback(_) => Err(Problem::forbidden(
                "the request is for an unknown host name; add the name to the setting `web.hosts`",
            )),
            Entrance::Open => Err(Problem::unauthenticated("this address needs authentication")),
            Entrance::Mounted => Err(Problem::unauthenticated(
                "the program's middleware must add a `pynenc_web::User` to the extensions of the request",
            )),
        }
    }

    /// Checks that a user may send a request with this method.
    ///
    /// # Errors
    ///
    /// The request changes something, and comes from another site or from a user who may not do that.
    fn allow(&self, request: &Request, client: &Client, user: &User) -> Result<(), Problem> {
        if request.method().is_safe() {
            return Ok(());
        }
        check_origin(request, client)?;
        if !self.actions {
            let detail = "this monitor is read-only; an operator of the app can set `web.actions = true`";
            return Err(Problem::forbidden(detail));
        }
        if user.role == Role::Viewer {
            return Err(Problem::forbidden(format!(
                "`{}` has the role viewer; this needs the role operator",
                user.name
            )));
        }
        Ok(())
    }

    /// Finds the user of a request, and checks that the user may send it.
    ///
    /// # Errors
    ///
    /// The request brings no proof of its user, or the user may not send it.
    pub(crate) fn authenticate(&self, request: &Request, client: &Client) -> Result<User, Problem> {
        let user = self.user(request, client)?;
        if let Err(problem) = self.allow(request, client, &user) {
            let (path, why) = (request.uri().path(), &problem.detail);
            tracing::info!(target: "pynenc_web::audit", user = user.name, role = %user.role, path, why, "refused an action");
            return Err(problem);
        }
        Ok(user)
    }

    /// Checks a password. Returns the value of the `Set-Cookie` header.
    ///
    /// # Errors
    ///
    /// The name or the password is wrong, or the client has tried too often.
    pub(crate) async fn login(&self, client: &Client, name: &str, password: &str) -> Result<String, Problem> {
        let Some(file) = &self.credentials else {
            return Err(Problem::not_found("this monitor has no passwords; see the setting `web.credentials_file`"));
        };
        // Clients whose addresses the program's server doesn't say share one limit.
        if !self.logins.count(client.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))) {
            return Err(Problem::too_many_requests("too many logins from this address; try again in a minute"));
        }
        let _permit = self.logins.check().await;
        let users: Arc<_> = file.users();
        let (checked_name, checked_password) = (name.to_owned(), password.to_owned());
        let check = move || users.verify(&checked_name, &checked_password);
        let is_right = tokio::task::spawn_blocking(check).await.unwrap_or(false);
        if !is_right {
            return Err(Problem::unauthenticated("the name or the password is wrong"));
        }
        let lifetime = self.sessions.lifetime().as_secs();
        Ok(self.cookie(&self.sessions.open(name)?, client, lifetime))
    }

    /// Ends the login of a browser. Returns the value of the `Set-Cookie` header.
    pub(crate) fn logout(&self, headers: &HeaderMap, client: &Client) -> String {
        if let Some(secret) = cookie(headers) {
            self.sessions.close(secret);
        }
        self.cookie("", client, 0)
    }

    fn cookie(&self, secret: &str, client: &Client, lifetime: u64) -> String {
        let secure = if client.is_https { "; Secure" } else { "" };
        let path = &self.cookie_path;
        format!("{COOKIE_NAME}={secret}; Path={path}; Max-Age={lifetime}; HttpOnly; SameSite=Lax{secure}")
    }
}

/// Refuses a request that changes something, if a page of another site made the browser send it.
///
/// # Errors
///
/// The request comes from another site.
pub(crate) fn check_origin(request: &Request, client: &Client) -> Result<(), Problem> {
    if request.method() != Method::GET && is_cross_site(request.headers(), client.host.as_deref()) {
        return Err(Problem::forbidden("the request comes from another site"));
    }
    Ok(())
}

fn last_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get_all(name).iter().next_back()?.to_str().ok()
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE_NAME).map(|(_, secret)| secret)
}
