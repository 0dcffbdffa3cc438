//! Sweeping away everything whose name begins in one way, without blocking the server and without touching others.

use std::time::{Duration, Instant};

use memory_core::FmError;
use redis::{Pipeline, Value};

use crate::{failure, link::Link, names};

/// So many keys are looked at in one step: measured, more is no faster and holds others up.
const STEP: usize = 1000;
const STEP_LIMIT: Duration = Duration::from_secs(1);
/// A sweep that takes longer ends with an error; what is left is swept later.
const SWEEP_LIMIT: Duration = Duration::from_secs(60);

/// Removes every key that begins with `start`; how many there were.
///
/// Entries that are stored while it runs may go too: to a cache, that is a miss.
pub(crate) async fn sweep(link: &Link, start: &str) -> Result<u64, FmError> {
    let began = Instant::now();
    let pattern = names::pattern(start);
    let (mut cursor, mut doomed, mut removed) = (b"0".to_vec(), Vec::new(), 0);
    loop {
        let mut step = Pipeline::new();
        step.cmd("SCAN").arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(STEP);
        unlink(&mut step, &doomed);
        let answers = link.ask(&step, STEP_LIMIT).await?;
        removed += count(link, &answers[1..])?;
        (cursor, doomed) = page(failure::answered(&answers[0])?).ok_or_else(|| link.out_of_step())?;
        // Whatever a server makes of the pattern, nobody else's key is ever removed.
        doomed.retain(|key| key.starts_with(start.as_bytes()));
        if cursor == b"0" {
            break;
        }
        if began.elapsed() > SWEEP_LIMIT {
            return Err(failure::too_slow(SWEEP_LIMIT));
        }
    }
    let mut last = Pipeline::new();
    unlink(&mut last, &doomed);
    if !doomed.is_empty() {
        removed += count(link, &link.ask(&last, STEP_LIMIT).await?)?;
    }
    Ok(removed)
}

fn unlink(step: &mut Pipeline, doomed: &[Vec<u8>]) {
    if !doomed.is_empty() {
        step.cmd("UNLINK").arg(doomed);
    }
}

fn count(link: &Link, answers: &[Value]) -> Result<u64, FmError> {
    answers.iter().map(|answer| crate::scripts::number(link, answer)).sum()
}

/// The next cursor and the keys of one answer: bytes, since others' keys need not be text.
fn page(answer: &Value) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    let Value::Array(parts) = answer else { return None };
    let [Value::BulkString(cursor), Value::Array(keys)] = &parts[..] else { return None };
    let keys = keys.iter().map(|key| match key {
        Value::BulkString(key) => Some(key.clone()),
        _ => None,
    });
    Some((cursor.clone(), keys.collect::<Option<_>>()?))
}
