//! The scripts that compare and change in one step, and how they are called.

use std::{sync::OnceLock, time::Duration};

use memory_core::FmError;
use redis::{Cmd, Pipeline, ServerErrorKind, Value, cmd};

use crate::{failure, link::Link};

/// One script, from its file.
macro_rules! script {
    ($file:literal) => {
        Script::new(concat!(include_str!("lua/moments.lua"), include_str!($file)))
    };
}

/// Stores an entry if nothing was invalidated since its run began, and if it comes in time.
pub(crate) static STORE: Script = script!("lua/store.lua");

/// Removes an entry and raises its generation.
pub(crate) static REMOVE: Script = script!("lua/remove.lua");

/// Invalidates a group.
pub(crate) static RAISE: Script = script!("lua/raise.lua");

/// Begins the clock and groups where they are missing.
pub(crate) static ENSURE: Script = script!("lua/ensure.lua");

/// The source of a script, and its name on the server.
#[derive(Debug)]
pub(crate) struct Script {
    source: &'static str,
    hash: OnceLock<String>,
}

impl Script {
    const fn new(source: &'static str) -> Self {
        Self { source, hash: OnceLock::new() }
    }

    fn hash(&self) -> &str {
        self.hash.get_or_init(|| redis::Script::new(self.source).get_hash().to_owned())
    }
}

/// One call of one script.
#[derive(Debug)]
pub(crate) struct Call {
    script: &'static Script,
    keys: Vec<Vec<u8>>,
    arguments: Vec<Vec<u8>>,
}

impl Call {
    pub(crate) fn new(script: &'static Script) -> Self {
        Self { script, keys: Vec::new(), arguments: Vec::new() }
    }

    pub(crate) fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.keys.push(key.into());
        self
    }

    pub(crate) fn argument(mut self, argument: impl Into<Vec<u8>>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    fn by_name(&self) -> Cmd {
        self.command("EVALSHA", self.script.hash())
    }

    fn by_source(&self) -> Cmd {
        self.command("EVAL", self.script.source)
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys).arg(&self.arguments);
        command
    }
}

/// Teaches a server all scripts, so that the first calls need no second round trip. A server that refuses may still
/// run them.
pub(crate) async fn load(link: &Link, limit: Duration) -> Result<(), FmError> {
    let scripts = [&STORE, &REMOVE, &RAISE, &ENSURE];
    let commands = scripts.map(|script| cmd("SCRIPT").arg("LOAD").arg(script.source).clone());
    link.ask(&pipeline(commands), limit).await.map(drop)
}

/// Runs the calls in one round trip (two where the server has forgotten a script); each answer may be an error of the
/// server.
pub(crate) async fn run(link: &Link, calls: &[Call], limit: Duration) -> Result<Vec<Value>, FmError> {
    let mut answers = link.ask(&pipeline(calls.iter().map(Call::by_name)), limit).await?;
    let forgotten: Vec<usize> = (0..calls.len()).filter(|at| is_forgotten(&answers[*at])).collect();
    if !forgotten.is_empty() {
        let again = pipeline(forgotten.iter().map(|at| calls[*at].by_source()));
        for (at, answer) in forgotten.into_iter().zip(link.ask(&again, limit).await?) {
            answers[at] = answer;
        }
    }
    Ok(answers)
}

/// The whole number that a script answers with.
pub(crate) fn number(link: &Link, answer: &Value) -> Result<u64, FmError> {
    match failure::answered(answer)? {
        Value::Int(number) => Ok(u64::try_from(*number).unwrap_or(0)),
        _ => Err(link.out_of_step()),
    }
}

fn pipeline(commands: impl IntoIterator<Item = Cmd>) -> Pipeline {
    let mut pipeline = Pipeline::new();
    for command in commands {
        pipeline.add_command(command);
    }
    pipeline
}

fn is_forgotten(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript))
}
