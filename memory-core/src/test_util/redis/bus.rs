//! The bus: what the store tells its subscribers, and how that reaches them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{Instant, sleep, sleep_until, timeout_at},
};

use super::{Bug, link::Link, store::Asker};
use crate::backend::{Group, Watcher};

/// How often a subscriber asks the store for a mark in its stream.
const MARK: Duration = Duration::from_millis(50);

/// How long a subscriber needs at most to see that its subscription is broken.
const UNNOTICED: Duration = Duration::from_millis(300);

/// One message.
#[derive(Clone)]
pub(super) enum Told {
    Changed(Arc<[u8]>),
    Invalidated(Group),
    /// Comes back to the one who asked for it: everything up to that moment has been told before.
    Mark(Instant),
}

/// Who is told, by the number of the link.
#[derive(Default)]
pub(super) struct Subscribers(BTreeMap<u64, Subscriber>);

struct Subscriber {
    prefix: Arc<str>,
    queue: UnboundedSender<Told>,
}

impl Subscribers {
    pub(super) fn add(&mut self, asker: &Asker) -> UnboundedReceiver<Told> {
        let (queue, stream) = unbounded_channel();
        self.0.insert(asker.link, Subscriber { prefix: Arc::clone(&asker.prefix), queue });
        stream
    }

    /// Breaks a subscription: what is told from now on never reaches it.
    pub(super) fn drop_link(&mut self, link: u64) -> bool {
        self.0.remove(&link).is_some()
    }

    /// Tells everybody else under the same prefix.
    pub(super) fn tell(&self, asker: &Asker, told: &Told) {
        for (link, subscriber) in &self.0 {
            if *link != asker.link && subscriber.prefix == asker.prefix {
                // One who has gone is no concern of the store.
                let _ = subscriber.queue.send(told.clone());
            }
        }
    }

    fn mark(&self, link: u64, asked: Instant) {
        if let Some(subscriber) = self.0.get(&link) {
            let _ = subscriber.queue.send(Told::Mark(asked));
        }
    }
}

/// Keeps a subscription for as long as the link lives, and tells the watcher.
pub(super) async fn listen(link: Arc<Link>, watcher: Arc<dyn Watcher>) {
    let mut first = true;
    while !link.is_over() {
        if let Some(stream) = subscribe(&link).await {
            if first || link.bug() != Some(Bug::ReconnectIgnored) {
                link.alive().await;
                watcher.resync();
            }
            first = false;
            if !stream.is_closed() {
                link.node.note_bus(true);
            }
            let marks = tokio::spawn(ask_for_marks(Arc::clone(&link)));
            Delivery::new(&link, &*watcher).run(stream).await;
            marks.abort();
            sleep(link.node.draw(Duration::ZERO..UNNOTICED)).await;
        }
        sleep(link.node.draw(Duration::from_millis(5)..Duration::from_millis(50))).await;
    }
}

/// A request that arrives when nobody waits for it any more subscribes nobody: its connection is gone.
async fn subscribe(link: &Arc<Link>) -> Option<UnboundedReceiver<Told>> {
    let asker = link.asker();
    let wanted = Arc::new(());
    let still_wanted = Arc::downgrade(&wanted);
    let stream = link.ask(move |store| still_wanted.upgrade().map(|_| store.subscribers.add(&asker))).await;
    stream.ok().flatten()
}

async fn ask_for_marks(link: Arc<Link>) {
    loop {
        let (number, asked) = (link.number, Instant::now());
        link.post(move |store| store.subscribers.mark(number, asked));
        sleep(MARK).await;
    }
}

/// The messages of one subscription on their way: each takes its own time, so that they overtake each other, but
/// none overtakes a mark.
struct Delivery<'a> {
    link: &'a Link,
    watcher: &'a dyn Watcher,
    under_way: BTreeMap<(Instant, u64), Told>,
    sent: u64,
}

impl<'a> Delivery<'a> {
    fn new(link: &'a Link, watcher: &'a dyn Watcher) -> Self {
        Self { link, watcher, under_way: BTreeMap::new(), sent: 0 }
    }

    /// Until the subscription breaks. What is under way then is lost, or arrives all the same.
    async fn run(mut self, mut stream: UnboundedReceiver<Told>) {
        loop {
            let next = self.under_way.first_key_value().map(|((due, _), _)| *due);
            let received = match next {
                Some(due) => timeout_at(due, stream.recv()).await.ok(),
                None => Some(stream.recv().await),
            };
            match received {
                Some(Some(told)) => self.send(told),
                Some(None) => return self.finish().await,
                None => self.deliver().await,
            }
        }
    }

    async fn finish(mut self) {
        if self.link.node.draw(Duration::ZERO..Duration::from_micros(2)).is_zero() {
            return;
        }
        while let Some(((due, _), _)) = self.under_way.first_key_value() {
            sleep_until(*due).await;
            self.deliver().await;
        }
    }

    fn send(&mut self, told: Told) {
        let mut due = Instant::now() + self.link.node.bus_delay();
        if let (Told::Mark(_), Some(((last, _), _))) = (&told, self.under_way.last_key_value()) {
            due = due.max(*last);
        }
        self.sent += 1;
        self.under_way.insert((due, self.sent), told);
    }

    async fn deliver(&mut self) {
        let Some((_, told)) = self.under_way.pop_first() else { return };
        self.link.alive().await;
        match told {
            Told::Changed(wire) => self.watcher.changed(&wire),
            Told::Invalidated(group) => self.watcher.invalidated(&group),
            Told::Mark(asked) => self.watcher.in_step(asked.elapsed()),
        }
    }
}
