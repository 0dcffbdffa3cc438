//! HTTPS: whom the client trusts, and that it never goes back to plain HTTP.

use std::sync::Arc;

use memory_core::FmResilientClient;

use crate::upstream::{Upstream, json as ok};

/// A TLS server with a certificate of its own making; redirects `/down` to plain HTTP at `down`.
async fn tls_server(down: String) -> String {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let key = tokio_rustls::rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = tokio_rustls::rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
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
    let url = tls_server(plain.url()).await;
    let unverified = FmResilientClient::builder().base_url(&url).verify(false).max_redirects(5).build().unwrap();
    assert_eq!(unverified.get_json::<u32>("x").await.unwrap(), 1);
    let error = unverified.get_raw("down").header("authorization", "secret").await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(302));
    assert_eq!(plain.connections(), 0);
    assert!(
        tokio_rustls::rustls::crypto::CryptoProvider::get_default().is_none(),
        "the client installed a crypto provider for the whole process"
    );
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_a_network_error() {
    let url = tls_server(String::new()).await;
    match FmResilientClient::builder().base_url(&url).retry_attempts(1).build() {
        Ok(client) => assert!(client.get_raw("x").await.unwrap_err().is_network()),
        // A machine without any certificates can't verify, and says so.
        Err(error) => assert!(error.is_config(), "{error:?}"),
    }
}
