//! `rediss://` against a server with certificates made for the test.

use std::{fs, path::Path, process::Command};

use memory_redis::{FmRedisBackend, redis};

use crate::{
    Store,
    support::{free_port, redis_server::RedisServer},
};

/// A certificate authority and a certificate for this machine, in `folder`.
fn make_certificates(folder: &Path) {
    fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"];
    let steps: [&[&str]; 3] = [
        &["req", "-x509", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=authority"],
        &["req", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server"],
        &["x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1"],
    ];
    for (at, step) in steps.into_iter().enumerate() {
        let rest: &[&str] = if at < 2 { &key } else { &["-extfile", "names", "-out", "server.crt"] };
        let done = Command::new("openssl").args(step).args(rest).current_dir(folder).output().expect("openssl");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

/// A server with a TLS port; the port.
fn tls_server() -> (RedisServer, u16) {
    tls_server_with(&[])
}

fn tls_server_with(more: &[&str]) -> (RedisServer, u16) {
    let mut server = RedisServer::absent();
    make_certificates(server.folder());
    let (port, file) = (free_port(), |name: &str| server.folder().join(name).display().to_string());
    let settings = [
        ["--tls-port", &port.to_string()],
        ["--tls-cert-file", &file("server.crt")],
        ["--tls-key-file", &file("server.key")],
        ["--tls-ca-cert-file", &file("ca.crt")],
        ["--tls-auth-clients", "no"],
    ]
    .concat()
    .into_iter()
    .map(str::to_owned)
    .collect::<Vec<_>>();
    server.restart_with(&settings.iter().map(String::as_str).chain(more.iter().copied()).collect::<Vec<_>>());
    (server, port)
}

/// What vouches for a server.
fn authority(server: &RedisServer) -> redis::TlsCertificates {
    let authority = fs::read(server.folder().join("ca.crt")).unwrap();
    redis::TlsCertificates { client_tls: None, root_cert: Some(authority) }
}

#[tokio::test]
async fn a_tls_connection_is_made_with_the_certificates_given() {
    let (server, port) = tls_server();
    let client = redis::Client::build_with_tls(format!("rediss://127.0.0.1:{port}"), authority(&server)).unwrap();
    let store = Store::with("app", crate::patient(FmRedisBackend::from_client(client)));
    let key = store.key("f");
    store.healed(&key).await;
    store.run_and_store(&key, "value").await;
    assert_eq!(store.payload(&key).await.as_deref(), Some("value"));
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let (_server, port) = tls_server();
    let store = Store::at(&format!("rediss://127.0.0.1:{port}"));
    let key = store.key("f");
    store.fails_fast(&key).await;
    assert!(store.fetch(&key).await.unwrap_err().is_backend());
}

#[tokio::test]
async fn certificates_are_those_of_every_connection() {
    let (server, port) = tls_server();
    let backend = FmRedisBackend::connect(format!("rediss://127.0.0.1:{port}")).unwrap();
    let store = Store::with("app", crate::patient(backend.certificates(authority(&server))));
    store.works(&store.key("f")).await;
}

#[tokio::test]
async fn the_nodes_of_a_cluster_are_reached_by_tls() {
    let bus = free_port().to_string();
    let (server, port) = tls_server_with(&["--cluster-enabled", "yes", "--tls-cluster", "yes", "--cluster-port", &bus]);
    let () = server.run(&[b"CLUSTER", b"ADDSLOTSRANGE", b"0", b"16383"]);
    let backend = FmRedisBackend::cluster([format!("rediss://127.0.0.1:{port}")]).unwrap();
    let store = Store::with("app", crate::patient(backend.certificates(authority(&server))));
    store.works(&store.key("f")).await;
}

#[tokio::test]
async fn the_master_of_sentinels_is_reached_by_tls() {
    let (server, port) = tls_server();
    let file = |name: &str| server.folder().join(name).display().to_string();
    let sentinel = RedisServer::start_sentinel(&format!(
        "tls-replication yes\ntls-ca-cert-file {}\ntls-cert-file {}\ntls-key-file {}\n\
         sentinel monitor mymaster 127.0.0.1 {port} 1\n",
        file("ca.crt"),
        file("server.crt"),
        file("server.key"),
    ));
    let backend = FmRedisBackend::sentinel("mymaster", [sentinel.url()]).unwrap().node_connection("rediss://any");
    let store = Store::with("app", crate::patient(backend.certificates(authority(&server))));
    store.works(&store.key("f")).await;
}
