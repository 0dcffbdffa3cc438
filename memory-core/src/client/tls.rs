//! TLS for this client only: no process-wide crypto provider is installed.

use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use rustls_platform_verifier::Verifier;

use super::builder::Settings;

/// The settings of one client: whom it trusts, and what it speaks.
pub(crate) fn config(settings: &Settings, is_secure: bool) -> Result<ClientConfig, Error> {
    let provider = provider();
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let is_spoken = is_secure || settings.proxy.as_ref().is_some_and(|proxy| proxy.scheme() == "https");
    let verifier: Arc<dyn ServerCertVerifier> = match (is_spoken, settings.verify) {
        // Without TLS no certificates are loaded, for there may be none on this machine.
        (false, _) => {
            return Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
        }
        (true, true) => Arc::new(Verifier::new_with_extra_roots(settings.certificates.iter().cloned(), provider)?),
        (true, false) => Arc::new(Unverified(provider)),
    };
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    if !settings.http2_only {
        config.alpn_protocols.push(b"http/1.1".to_vec());
    }
    Ok(config)
}

/// Reads the certificates of a PEM file, or the one of a DER file.
pub(crate) fn certificates(file: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    const PEM: &[u8] = b"-----BEGIN ";
    let found = if file.windows(PEM.len()).any(|part| part == PEM) {
        CertificateDer::pem_slice_iter(file).collect::<Result<Vec<_>, _>>().ok()?
    } else {
        vec![CertificateDer::from(file.to_vec())]
    };
    let mut roots = RootCertStore::empty();
    let (_, refused) = roots.add_parsable_certificates(found.iter().cloned());
    (refused == 0 && !found.is_empty()).then_some(found)
}

/// A key that nobody else draws: 122 random bits, written as a UUID (RFC 9562, version 4).
pub(crate) fn unique_key() -> Option<String> {
    let mut random = [0; 16];
    provider().secure_random.fill(&mut random).ok()?;
    let bits = u128::from_be_bytes(random) & !(0xF << 76) & !(0b11 << 62) | (4 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    Some([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

/// What the program chose for itself, else what `reqwest` takes.
fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

/// Takes every certificate. Who checks no certificate gains nothing from checking what was signed with it, and would lose
/// the odd certificates for which people turn verification off.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
