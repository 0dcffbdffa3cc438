//! A storm, with and without us: an upstream dies for a minute, while everybody repeats what fails, in two layers.
//!
//! Runs alone, in a second, by a clock that is not the wall's: `cargo run --example storm [-- FILE.svg]`. Prints a table, and draws how
//! many requests a second reach the upstream.

use std::{env, error::Error, fmt::Display, io, path::PathBuf, process::ExitCode, sync::LazyLock, time::Duration};

use memory_core::{circuit_breaker, default_retry, reqwest};
use plotters::prelude::*;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use reqwest_retry::{RetryTransientMiddleware, policies::ExponentialBackoff};
use tower::{Layer, ServiceExt, service_fn};
use tower_resilience_retry::RetryLayer;

#[path = "../tests/support/storm.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with a test")]
mod simulation;
use simulation::{CAPACITY, DEAD, OFFERED, Report, SECONDS, Upstream, storm};

/// Every layer makes three attempts; its waits begin with this and double.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What the retry budget lets through besides its share.
const RESERVE: u32 = 100;

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> ExitCode {
    let file = env::args_os().nth(1).map_or_else(|| env::temp_dir().join("storm.svg"), PathBuf::from);
    let storms = [
        ("no retries", storm(|upstream| async move { upstream.call().await.is_ok() }).await),
        ("loops by hand", storm(|upstream| async move { by_hand(|| by_hand(|| upstream.call())).await.is_ok() }).await),
        ("reqwest-retry", storm(through_reqwest_retry).await),
        ("tower-resilience", storm(through_tower_resilience).await),
        ("#[default_retry]", storm(|upstream| async { gateway(upstream).await.is_ok() }).await),
        ("#[circuit_breaker] below", storm(|upstream| async { guarded_gateway(upstream).await.is_ok() }).await),
    ];
    print(&storms);
    match draw(&storms, &file) {
        Ok(()) => {
            println!("\nRequests a second: {}", file.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{} can't be drawn: {error}", file.display());
            ExitCode::FAILURE
        }
    }
}

#[default_retry(wait_min = 0.5, wait_max = 5, multiplier = 0.5)]
async fn service(upstream: Upstream) -> io::Result<()> {
    upstream.call().await
}

#[default_retry(wait_min = 0.5, wait_max = 5, multiplier = 0.5)]
async fn gateway(upstream: Upstream) -> io::Result<()> {
    service(upstream).await
}

type BoxError = Box<dyn Error + Send + Sync>;

#[default_retry(wait_min = 0.5, wait_max = 5, multiplier = 0.5)]
#[circuit_breaker(open_for = 2)]
async fn guarded_service(upstream: Upstream) -> Result<(), BoxError> {
    Ok(upstream.call().await?)
}

#[default_retry(wait_min = 0.5, wait_max = 5, multiplier = 0.5)]
async fn guarded_gateway(upstream: Upstream) -> Result<(), BoxError> {
    guarded_service(upstream).await
}

async fn by_hand<F: Future<Output = io::Result<()>>>(call: impl Fn() -> F) -> io::Result<()> {
    for attempt in 0..2 {
        if call().await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(FIRST_WAIT * 2u32.pow(attempt)).await;
    }
    call().await
}

/// The upstream of the request, in the place of the network.
struct Instead;

#[async_trait::async_trait]
impl Middleware for Instead {
    async fn handle(
        &self,
        _: reqwest::Request,
        extensions: &mut http::Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let upstream = extensions.get::<Upstream>().ok_or_else(|| anyhow::anyhow!("a request without its upstream"))?;
        let status = if upstream.call().await.is_ok() { 200 } else { 503 };
        let answer = http::Response::builder().status(status).body("").map_err(anyhow::Error::from)?;
        Ok(answer.into())
    }
}

static REQWEST: LazyLock<ClientWithMiddleware> = LazyLock::new(|| {
    let backoff = ExponentialBackoff::builder().retry_bounds(FIRST_WAIT, LONGEST_WAIT).build_with_max_retries(2);
    let layer = || RetryTransientMiddleware::new_with_policy(backoff);
    ClientBuilder::new(reqwest::Client::new()).with(layer()).with(layer()).with(Instead).build()
});

async fn through_reqwest_retry(upstream: Upstream) -> bool {
    let call = REQWEST.get("http://upstream.test/").with_extension(upstream);
    call.send().await.is_ok_and(|answer| answer.status().is_success())
}

async fn through_tower_resilience(upstream: Upstream) -> bool {
    let layer = || RetryLayer::<(), (), io::Error>::builder().max_attempts(3).exponential_backoff(FIRST_WAIT).build();
    let call = service_fn(move |()| {
        let upstream = upstream.clone();
        async move { upstream.call().await }
    });
    layer().layer(layer().layer(call)).oneshot(()).await.is_ok()
}

fn print(storms: &[(&str, Report)]) {
    println!(
        "100 clients, {OFFERED} calls a second, two layers of three attempts each; the upstream answers {CAPACITY} a second"
    );
    println!("and is dead for {} s.\n", DEAD.len());
    println!("| | requests a call while dead | most in a second | calls that end well | well again after |");
    println!("|---|---|---|---|---|");
    for (name, report) in storms {
        let recovery = report.recovery().map_or_else(|| String::from("never"), |seconds| format!("{seconds} s"));
        let success = 100.0 * report.success();
        let (amplification, peak) = (report.amplification(0), report.peak());
        println!("| {name} | {amplification:.2} | {peak} | {success:.1} % | {recovery} |");
    }
    if let Some((name, report)) = storms.iter().find(|(name, _)| *name == "#[default_retry]") {
        println!("\n{name} without its reserve of {RESERVE}: {:.2} requests a call.", report.amplification(RESERVE));
    }
}

fn draw(storms: &[(&str, Report)], file: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(file, (960, 480)).into_drawing_area();
    root.fill(&WHITE)?;
    let most = storms.iter().map(|(_, report)| report.peak()).max().unwrap_or_default();
    let mut chart = ChartBuilder::on(&root)
        .margin(16)
        .caption("Requests a second at an upstream that is dead for a minute", ("sans-serif", 20))
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0..SECONDS, 0..most)?;
    chart.configure_mesh().x_desc("seconds").y_desc("requests a second").draw()?;
    for (index, (name, report)) in storms.iter().enumerate() {
        let color = Palette99::pick(index).stroke_width(2);
        let line = report.arrived.iter().copied().enumerate().take(SECONDS);
        chart
            .draw_series(LineSeries::new(line, color))?
            .label(label(name))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color));
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
    root.present()?;
    Ok(())
}

fn label(name: impl Display) -> String {
    format!(" {name}")
}
