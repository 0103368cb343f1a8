//! The HTTP API of a pynenc app, and a web monitor.
//!
//! [`Web`] serves both at one listener, or gives you a router to mount in your own server. `/api/v1` is the API, described by
//! `/api/v1/openapi.json`. All other paths are pages of the monitor.
//!
//! ```no_run
//! use pynenc_engine::Engine;
//! use pynenc_web::{Web, WebConfig};
//!
//! # async fn main_(app: Engine) -> pynenc_engine::Result<()> {
//! let listening = Web::new(&app, WebConfig::default(), Vec::new()).listen().await?;
//! println!("{}", listening.url());
//! listening.serve(std::future::pending()).await
//! # }
//! ```
//!
//! The section `web` of the settings says where it listens and who may do what. By default, it listens on the loopback
//! address and is read-only.
//!
//! | module | holds |
//! |---|---|
//! | `config` | the section `web` |
//! | `access` | users, roles, passwords, tokens, and the checks of each request |
//! | `model` | the JSON values of the API, and how they are read from the app. The pages show the same values |
//! | `readings` | readings of the app that requests share |
//! | `actions` | what users can change |
//! | `api` | the endpoints under `/api/v1` |
//! | `pages`, `assets` | the monitor |
//! | `server` | the router and the listener |

mod access;
mod actions;
mod api;
mod assets;
mod config;
mod extract;
mod model;
mod pages;
mod problem;
mod readings;
mod server;
mod state;
mod units;

pub use access::{Role, User, new_token_line, password_line};
pub use api::openapi;
pub use config::{ArgumentVisibility, WebConfig};
pub use problem::Problem;
pub use server::{Listening, Web};
