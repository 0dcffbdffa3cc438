//! What is asked for and what is made for it: every value says for whom, and with which arguments.

use std::{sync::LazyLock, time::Instant};

use fastrand::Rng;
use serde::{Deserialize, Serialize};

/// Users that a careless key would take for one another.
const USERS: [&str; 14] = [
    "ann",
    "an",
    "n",
    "ann:1",
    "ann%3A1",
    "ann:",
    "{ann}",
    "ANN",
    "\u{e4}nn",
    "a\u{308}nn",
    "ann/b",
    "*",
    "ann%gen",
    "\u{1f9d1}\u{200d}\u{1f680}",
];

/// Parts of arguments of the same kind: together with each other and with users they give the same text, split elsewhere.
const PARTS: [&str; 16] =
    ["1", "01", "1:1", ":1", "n:1", "nn", "a", "%", "%25", "{", "}", "b:", "x/y", "*", "null", "\u{e9}\u{301}"];

/// The parts for which the body of [`Shape::Lookup`] finds nothing.
const NOTHING: [&str; 2] = ["null", "%"];

/// The kinds of memorized functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Shape {
    Profile,
    Item,
    Price,
    Red,
    Blue,
    Feed,
    Excused,
    Limited,
    Soft,
    Ahead,
    Lookup,
    Secret,
    View,
    Unshared,
    ByHand,
    Direct,
}

impl Shape {
    pub(crate) const ALL: [Self; 16] = [
        Self::Profile,
        Self::Item,
        Self::Price,
        Self::Red,
        Self::Blue,
        Self::Feed,
        Self::Excused,
        Self::Limited,
        Self::Soft,
        Self::Ahead,
        Self::Lookup,
        Self::Secret,
        Self::View,
        Self::Unshared,
        Self::ByHand,
        Self::Direct,
    ];

    /// For how many milliseconds a value may be answered, stale windows included.
    pub(crate) fn life(self) -> u64 {
        match self {
            Self::Profile | Self::Item | Self::Price | Self::Red | Self::Blue => 800,
            Self::Feed => 300 + 600,
            Self::Excused => 300 + 900,
            Self::Soft => 400 + 400,
            Self::Limited | Self::Ahead | Self::Lookup | Self::Secret => 700,
            Self::View | Self::Unshared | Self::ByHand | Self::Direct => 600,
        }
    }

    /// Whether a body that hangs is aborted.
    pub(crate) fn has_timeout(self) -> bool {
        matches!(self, Self::Limited | Self::Soft | Self::View)
    }

    fn arguments(self) -> usize {
        match self {
            Self::Profile => 0,
            Self::Item => 3,
            Self::Feed | Self::Ahead => 2,
            _ => 1,
        }
    }
}

/// One question: for the same one the same value may be answered, for another one never.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) shape: Shape,
    pub(crate) user: String,
    pub(crate) arguments: Vec<String>,
}

impl Call {
    pub(crate) fn new(shape: Shape, user: &str, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { shape, user: user.to_owned(), arguments }
    }

    pub(crate) fn random(rng: &mut Rng) -> Self {
        let shape = Shape::ALL[rng.usize(..Shape::ALL.len())];
        Self::of_shape(shape, rng)
    }

    pub(crate) fn of_shape(shape: Shape, rng: &mut Rng) -> Self {
        let user = USERS[rng.usize(..USERS.len())];
        let arguments: Vec<&str> = (0..shape.arguments()).map(|_| PARTS[rng.usize(..PARTS.len())]).collect();
        Self::new(shape, user, &arguments)
    }

    /// The same question of another user.
    pub(crate) fn of_another(&self, rng: &mut Rng) -> Self {
        Self { user: USERS[rng.usize(..USERS.len())].to_owned(), ..self.clone() }
    }

    /// Whether the right answer is that there is nothing.
    pub(crate) fn finds_nothing(&self) -> bool {
        self.shape == Shape::Lookup && NOTHING.contains(&self.arguments[0].as_str())
    }
}

/// What a body makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) of: Call,
    pub(crate) began: u64,
    pub(crate) done: u64,
    /// The same again and again, so that a value put together from two is seen.
    rest: Vec<(String, Vec<String>)>,
}

impl Made {
    /// How often the rest repeats itself: a value of a kilobyte or so.
    const REPEATS: usize = 20;

    pub(crate) fn new(of: Call, began: u64) -> Self {
        let rest = vec![(of.user.clone(), of.arguments.clone()); Self::REPEATS];
        Self { of, began, done: now(), rest }
    }

    /// Whether all of it was made for `call`.
    pub(crate) fn is_of(&self, call: &Call) -> bool {
        let all = self.rest.iter().all(|(user, arguments)| (user, arguments) == (&call.user, &call.arguments));
        self.of == *call && self.rest.len() == Self::REPEATS && all
    }
}

/// Microseconds of this process.
pub(crate) fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_micros()).expect("less than half a million years")
}
