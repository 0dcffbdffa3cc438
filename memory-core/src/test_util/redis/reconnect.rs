//! Makes connections, replays what the store has missed, and watches over the connection.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{
    Bug,
    journal::{Missed, Removal},
    link::{Link, Phase},
};
use crate::{error::FmError, test_util::sim::history::What};

const HEARTBEAT: Duration = Duration::from_millis(500);

/// So many heartbeats in a row without an answer condemn a connection.
const MISSES: u32 = 2;

/// Keeps the link connected for as long as it is used.
pub(super) async fn supervise(link: Arc<Link>) {
    while !link.is_over() {
        if admit(&link).await.is_ok() {
            watch_over(&link).await;
        }
        link.turn(Phase::Down);
        sleep(link.node.draw(Duration::from_millis(20)..Duration::from_millis(200))).await;
    }
}

/// Puts a connection to use once the store has answered, and once everything that it has missed is made up for.
async fn admit(link: &Arc<Link>) -> Result<(), FmError> {
    greet(link).await?;
    sleep(link.doubts.left()).await;
    while !link.is_over() {
        let backlog = link.backlog();
        if link.bug() != Some(Bug::ReconnectIgnored) {
            replay(link, &backlog).await?;
        }
        link.replayed(&backlog);
        if link.admit() {
            return Ok(());
        }
    }
    Ok(())
}

/// Until the connection is given up.
async fn watch_over(link: &Arc<Link>) {
    let mut missed = 0;
    while link.phase() == Phase::Up {
        if timeout(HEARTBEAT, link.condemned.notified()).await.is_ok() {
            continue;
        }
        match greet(link).await {
            Ok(()) => missed = 0,
            Err(_) if missed + 1 < MISSES => missed += 1,
            Err(_) => return,
        }
    }
}

/// Asks whether the store is there, and what time it is there.
async fn greet(link: &Arc<Link>) -> Result<(), FmError> {
    let asked = Instant::now();
    let shown = link.ask(|store| store.now_ms()).await?;
    link.note_clock(shown, asked);
    Ok(())
}

async fn replay(link: &Arc<Link>, backlog: &[Missed]) -> Result<(), FmError> {
    for missed in backlog {
        let (asker, removal) = (link.asker(), missed.removal.clone());
        link.ask(move |store| match removal {
            Removal::Keys(keys) => keys.iter().map(|key| store.remove(&asker, key)).sum(),
            Removal::Group(group) => store.clear(&asker, &group),
        })
        .await?;
        for operation in &missed.operations {
            link.node.note(What::Replayed { operation: *operation });
        }
    }
    Ok(())
}
