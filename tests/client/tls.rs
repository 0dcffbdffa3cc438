//! HTTPS: whom the client trusts, and that it never goes back to plain HTTP.

use std::sync::Arc;

use memory_core::{FmResilientClient, is_retryable_error, reqwest};
use tokio_rustls::rustls;

use crate::upstream::{Upstream, json as ok};

/// A server's certificates and their key.
struct Identity {
    chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    key: rcgen::KeyPair,
}

/// An authority of our own.
struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    certificate: rcgen::Certificate,
}

impl Authority {
    fn new() -> Self {
        let mut params = rcgen::CertificateParams::new([]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "An authority of our own");
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { issuer: rcgen::Issuer::new(params, key), certificate }
    }

    fn issues(&self, name: &str, change: impl FnOnce(&mut rcgen::CertificateParams)) -> Identity {
        let mut params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { chain: vec![certificate.der().clone()], key }
    }
}

fn self_signed() -> Identity {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certified = rcgen::generate_simple_self_signed(names).unwrap();
    Identity { chain: vec![certified.cert.der().clone()], key: certified.signing_key }
}

/// A TLS server that answers `1`; redirects `/down` to plain HTTP at `down`.
async fn tls_server(identity: Identity, down: String) -> String {
    let key = rustls::pki_types::PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = [0; 4096];
            let length = stream.read(&mut head).await.unwrap_or(0);
            let answer = if head[..length].starts_with(b"GET /down") {
                format!("HTTP/1.1 302 Found\r\nlocation: {down}\r\ncontent-length: 0\r\n\r\n")
            } else {
                "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1".to_owned()
            };
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    format!("https://{address}")
}

#[tokio::test]
async fn certificates_are_verified_unless_told_otherwise_and_a_downgrade_is_not_followed() {
    let plain = Upstream::always(ok("2")).await;
    let url = tls_server(self_signed(), plain.url()).await;
    let unverified = FmResilientClient::builder().base_url(&url).verify(false).max_redirects(5).build().unwrap();
    assert_eq!(unverified.get_json::<u32>("x").await.unwrap(), 1);
    let error = unverified.get_raw("down").header("authorization", "secret").await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(302));
    assert_eq!(plain.connections(), 0);
    assert!(
        rustls::crypto::CryptoProvider::get_default().is_none(),
        "the client installed a crypto provider for the whole process"
    );
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_a_network_error() {
    let url = tls_server(self_signed(), String::new()).await;
    match FmResilientClient::builder().base_url(&url).retry_attempts(1).build() {
        Ok(client) => assert!(client.get_raw("x").await.unwrap_err().is_network()),
        // A machine without any certificates can't verify, and says so.
        Err(error) => assert!(error.is_config(), "{error:?}"),
    }
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_when_it_is_named_and_its_names_and_dates_count() {
    let authority = Authority::new();
    let good = tls_server(authority.issues("127.0.0.1", |_| ()), String::new()).await;
    let other_name = tls_server(authority.issues("elsewhere.example", |_| ()), String::new()).await;
    let expired = authority.issues("127.0.0.1", |params| params.not_after = rcgen::date_time_ymd(2001, 1, 1));
    let expired = tls_server(expired, String::new()).await;
    let stranger = tls_server(Authority::new().issues("127.0.0.1", |_| ()), String::new()).await;
    let (pem, der) = (authority.certificate.pem(), authority.certificate.der().to_vec());
    for file in [pem.as_bytes(), &der] {
        let client = |url: &str| {
            let builder = FmResilientClient::builder().base_url(url).add_root_certificate(file);
            builder.retry_attempts(3).build().unwrap()
        };
        assert_eq!(client(&good).get_json::<u32>("x").await.unwrap(), 1);
        for url in [&other_name, &expired, &stranger] {
            let client = client(url);
            let error = client.get_raw("x").header("authorization", "secret").await.unwrap_err();
            assert!(error.is_network() && !is_retryable_error(&error), "{error:?}");
            let told = error.to_string();
            assert!(told.contains("certificate is not accepted (invalid peer certificate: "), "{told}");
            assert_eq!(client.stats().attempts, 1, "another attempt would not accept it either");
            let plain =
                reqwest::Client::builder().tls_certs_only([reqwest::Certificate::from_pem(pem.as_bytes()).unwrap()]);
            let error = plain.build().unwrap().get(url).send().await.unwrap_err();
            assert!(!is_retryable_error(&error), "{error:?}");
        }
    }
}
