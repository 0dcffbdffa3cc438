//! What this process and its Redis hold: it must not grow.

use std::{fs, time::Duration};

use tokio::runtime::Handle;

use crate::world::World;

/// What may come on top between the end of the warm-up and the end of it all.
const MORE: Levels = Levels { memory: 16 << 20, files: 6, tasks: 4, clients: 1 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Levels {
    /// Resident, in bytes.
    pub(crate) memory: usize,
    /// Open file descriptors; those of the proxy in front of Redis count, too.
    pub(crate) files: usize,
    /// Tasks of the runtime that are alive.
    pub(crate) tasks: usize,
    /// Connections that the Redis server has.
    pub(crate) clients: usize,
}

impl Levels {
    fn now(world: &World) -> Self {
        Self {
            memory: resident(),
            files: fs::read_dir("/proc/self/fd").expect("Linux").count(),
            tasks: Handle::current().metrics().num_alive_tasks(),
            clients: world.rig.as_ref().map_or(0, clients),
        }
    }

    /// Once the connections of clients that have left are gone.
    pub(crate) async fn at_rest(world: &World) -> Self {
        let mut levels = Self::now(world);
        let mut same = 0;
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(30)).await;
            let next = tokio::task::block_in_place(|| Self::now(world));
            same = if next.counts() == levels.counts() { same + 1 } else { 0 };
            levels = next;
            if same == 8 {
                break;
            }
        }
        levels
    }

    fn counts(self) -> [usize; 3] {
        [self.files, self.tasks, self.clients]
    }

    /// What has grown beyond its bound since `warm`.
    pub(crate) fn grown(self, warm: Self) -> Option<String> {
        let within = self.memory <= warm.memory + MORE.memory
            && self.files <= warm.files + MORE.files
            && self.tasks <= warm.tasks + MORE.tasks
            && self.clients <= warm.clients + MORE.clients;
        (!within).then(|| format!("not level: {self:?} after {warm:?}; {MORE:?} more are allowed"))
    }
}

fn resident() -> usize {
    const PAGE: usize = 4096;
    let text = fs::read_to_string("/proc/self/statm").expect("Linux");
    PAGE * text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number of pages")
}

/// All but the one that asks.
fn clients(rig: &crate::faults::Rig) -> usize {
    let list: String = rig.server.run(&[b"CLIENT", b"LIST"]);
    list.lines().count() - 1
}
