//! The scripts that compare and change in one step, and how they are called.

use std::{sync::OnceLock, time::Duration};

use memory_core::FmError;
use redis::{Cmd, Pipeline, ServerErrorKind, Value, cmd};

use crate::{failure, link::Link};

/// Stores an entry if nothing was invalidated since its stamp, and if it comes in time.
///
/// `KEYS`: the entry, its tombstone, the generation of everything, and that of the namespace where there is one.
/// `ARGV`: 1 the moment (ms on the server's clock) after which nobody waits for this write any more, 2 a fresh
/// generation, 3 the life of a tombstone, 4 the life of a group generation, 5 the life of the entry or '', 6 the
/// magic, 7 the tail of the frame; for a stamped write, also the generation expected of each of `KEYS` from the second.
/// Answers 1 when stored, 0 when refused.
pub(crate) static STORE: Script = Script::new(
    r"
local time = redis.call('TIME')
if time[1] * 1000 + time[2] / 1000 > tonumber(ARGV[1]) then return 0 end
local none = '----------------'
local found = redis.call('MGET', unpack(KEYS, 2))
for i = 1, #found do
  if not found[i] or #found[i] ~= 16 then found[i] = none end
end
if ARGV[8] then
  for i = 1, #found do
    if found[i] ~= ARGV[7 + i] or (i > 1 and found[i] == none) then return 0 end
  end
else
  redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
  for i = 2, #found do
    if found[i] == none then
      redis.call('SET', KEYS[i + 1], ARGV[2], 'PX', ARGV[4])
      found[i] = ARGV[2]
    end
  end
end
local frame = ARGV[6] .. found[2] .. (found[3] or none) .. ARGV[7]
if ARGV[5] == '' then
  redis.call('SET', KEYS[1], frame)
else
  redis.call('SET', KEYS[1], frame, 'PX', ARGV[5])
end
return 1",
);

/// Removes an entry and raises its generation. `KEYS`: the entry, its tombstone; `ARGV`: a fresh generation, the life
/// of a tombstone. Answers how many entries went.
///
/// The removal comes first: once a script has written, a full server lets it go on.
pub(crate) static REMOVE: Script = Script::new(
    r"
local gone = redis.call('UNLINK', KEYS[1])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return gone",
);

/// Raises the generation of a group. `KEYS`: the generation; `ARGV`: a fresh one, its life.
pub(crate) static RAISE: Script = Script::new(
    r"
redis.call('UNLINK', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1",
);

/// Gives a group a generation where it has none. `KEYS`: the generation; `ARGV`: a fresh one, its life. Answers the
/// one that holds now.
pub(crate) static ENSURE: Script = Script::new(
    r"
local found = redis.call('MGET', KEYS[1])[1]
if found and #found == 16 then return found end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]",
);

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
