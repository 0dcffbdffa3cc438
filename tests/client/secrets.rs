//! No error, no `Debug` and no log line of ours tells a secret.

use std::sync::{Arc, Mutex};

use memory_core::{FmError, FmHttpError, FmResilientClient};

use crate::upstream::{Step, Upstream, answer, json as ok};

/// Everything that says something about `error`.
fn said(error: &(dyn std::error::Error + 'static)) -> String {
    let mut said = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        said += &format!("{error}\n{error:?}\n{error:#?}\n");
        next = error.source();
    }
    said
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn no_error_and_no_log_tells_a_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut all = String::new();
    for steps in [
        answer(503, &[("x", "secret")], b"secret"),
        answer(302, &[("location", "/secret?secret")], b"secret"),
        answer(302, &[("location", "http://secret:secret@h.example/secret?secret")], b"secret"),
        answer(200, &[("content-encoding", "gzip")], b"secret"),
        ok(r#"["secret"]"#),
        ok(&format!("\"{}\"", "secret".repeat(1000))),
        ok("secret"),
        vec![Step::Close],
        vec![Step::Hang],
    ] {
        let upstream = Upstream::always(steps).await;
        let base = format!("http://secret:secret@{}/api", upstream.address());
        let builder = FmResilientClient::builder().base_url(base).max_body_bytes(5000).max_redirects(2);
        all += &format!("{builder:?}");
        let client = builder.build().unwrap();
        let draft = client.get_json::<u32>("x?token=secret").query([("key", "secret")]);
        let draft = draft.header("authorization", "secret").idempotency_key("secret").json("secret");
        all += &format!("{client:?} {draft:?}");
        let error: FmHttpError = draft.await.unwrap_err();
        all += &(said(&error) + &said(&FmError::from(error)));
        let raw = client.get_raw("x?token=secret").query([("key", "secret")]).header("authorization", "secret");
        if let Err(error) = raw.await {
            all += &(said(&error) + &said(&FmError::from(error)));
        }
        for path in ["//secret:secret@h.example/x", "../secret?secret", "secret\r\n"] {
            all += &said(&client.get_raw(path).await.unwrap_err());
        }
        all += &said(&client.get_raw("x").header("secret", "secret\n").await.unwrap_err());
    }
    all += &said(&FmResilientClient::new("http://secret:secret@").unwrap_err());
    all += &said(&FmResilientClient::new("http://secret:secret@h:99999?secret").unwrap_err());
    assert!(!all.contains("secret"), "{all}");
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("memory_core::client: waiting"), "{log}");
    let telling: Vec<_> = log.lines().filter(|line| line.contains("secret")).collect();
    assert!(telling.is_empty(), "{telling:#?}");
}
