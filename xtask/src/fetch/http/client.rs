//! The HTTP client: whom it trusts, which redirects it follows, and what its errors mean.

use std::error::Error as StdError;
use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use reqwest::Url;
use reqwest::blocking::Client;
use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore};

use super::super::error::{RedirectRefused, SourceError};
use super::super::timing::Timing;
use crate::recipe::Redirects;

const MOST_REDIRECTS: usize = 10;

pub(super) fn build(
    timing: &Timing,
    redirects: Option<Redirects>,
    certificates: Option<&Path>,
) -> Result<Client> {
    Client::builder()
        .user_agent(concat!("kokoro-model/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls(certificates)?)
        .connect_timeout(timing.connect)
        // In the blocking client this is the time for the head, then anew for each read of the body.
        .timeout(timing.stall)
        .redirect(Policy::custom(move |attempt| {
            match check_redirect(attempt.previous(), attempt.url(), redirects.as_ref()) {
                Ok(()) => attempt.follow(),
                Err(refused) => attempt.error(refused),
            }
        }))
        .referer(false)
        .build()
        .context("the HTTP client cannot be set up")
}

/// Trusts Mozilla's roots, which come with the program so that a slim container needs none, and those of
/// the machine, where a company's proxy has its own, or in place of the latter those of `certificates`. Neither vouches
/// for a file: its digest does.
fn tls(certificates: Option<&Path>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let own = match certificates {
        Some(file) => rustls_native_certs::load_certs_from_paths(Some(file), None),
        None => rustls_native_certs::load_native_certs(),
    };
    roots.add_parsable_certificates(own.certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS cannot be set up")?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Judges a redirect to `next` after the addresses `previous`, of which the first is the one that was asked for.
fn check_redirect(
    previous: &[Url],
    next: &Url,
    redirects: Option<&Redirects>,
) -> Result<(), RedirectRefused> {
    if next.scheme() != "https" && previous.iter().any(|url| url.scheme() == "https") {
        return Err(RedirectRefused::ToPlainHttp(next.to_string()));
    }
    // The address asked for is not a redirect.
    if previous.len() > MOST_REDIRECTS {
        return Err(RedirectRefused::TooMany(MOST_REDIRECTS));
    }
    if let (Some(redirects), Some(asked)) = (redirects, previous.first()) {
        let [asked, next] = [asked, next].map(|url| url.host_str().unwrap_or_default());
        if !redirects.allow(asked, next) {
            return Err(RedirectRefused::ToAnotherHost { asked: asked.to_owned(), next: next.to_owned() });
        }
    }
    Ok(())
}

/// The class of a failure to get an answer.
pub(super) fn classify(error: &reqwest::Error, timing: &Timing) -> SourceError {
    let causes: Vec<_> = causes(error).collect();
    if let Some(refused) = causes.iter().find_map(|cause| cause.downcast_ref::<RedirectRefused>()) {
        return SourceError::Redirect(refused.clone());
    }
    if let Some(tls) = causes.iter().find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        return SourceError::Tls(tls.to_string());
    }
    let root = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
    if error.is_connect() {
        SourceError::Connect(root)
    } else if error.is_timeout() {
        SourceError::Stall(timing.stall)
    } else if error.is_request() {
        SourceError::Closed(root)
    } else {
        SourceError::Protocol(root)
    }
}

/// Whether reading a body failed because nothing came in time.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut
        || causes(error)
            .any(|cause| cause.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout))
}

/// `error` and everything beneath it. `io::Error` hides the error it wraps from `source`, hence the detour.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&cause| {
        match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
            None => cause.source(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn redirects_never_leave_https() {
        let secure = [url("https://a/")];
        let plain = [url("http://a/")];
        assert_eq!(check_redirect(&secure, &url("https://b/"), None), Ok(()));
        assert_eq!(
            check_redirect(&secure, &url("http://a/"), None),
            Err(RedirectRefused::ToPlainHttp("http://a/".into()))
        );
        // Only a mirror that the user named with `http` starts out plain.
        assert_eq!(check_redirect(&plain, &url("http://b/"), None), Ok(()));
        assert_eq!(check_redirect(&plain, &url("https://b/"), None), Ok(()));
        let there_and_back = [url("http://a/"), url("https://b/")];
        assert!(check_redirect(&there_and_back, &url("http://c/"), None).is_err());
    }

    #[test]
    fn ten_redirects_are_enough() {
        let chain = vec![url("https://a/"); 10];
        assert_eq!(check_redirect(&chain, &url("https://a/"), None), Ok(()));
        let chain = vec![url("https://a/"); 11];
        assert_eq!(check_redirect(&chain, &url("https://a/"), None), Err(RedirectRefused::TooMany(10)));
    }
}
