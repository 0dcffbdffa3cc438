//! Odd functions, as somebody might write them.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use memory_core::memorize;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Runs, alone};

#[memorize(skip(runs))]
async fn r#type(r#match: u32, runs: Runs) -> u32 {
    runs.begin();
    r#match
}

#[memorize]
async fn unnamed(_: u8, (_, kept): (u8, u8)) -> u8 {
    kept
}

#[memorize(key = format!("{id}/{lang}"), expire = if id > 1 { 1.0 } else { 60.5 })]
async fn formatted(id: u8, lang: String, runs: Runs) -> String {
    runs.begin();
    format!("{id}{lang}")
}

#[memorize(skip(runs))]
async fn slices(
    path: &Path,
    array: &[u8; 4],
    words: &[String],
    shared: Arc<[u8]>,
    boxed: Box<str>,
    runs: Runs,
) -> usize {
    runs.begin();
    path.as_os_str().len() + array.len() + words.len() + shared.len() + boxed.len()
}

#[memorize(skip(runs))]
async fn mutated(mut list: Vec<u8>, mut text: String, runs: Runs) -> (Vec<u8>, String) {
    runs.begin();
    list.push(1);
    text.push('!');
    (list, text)
}

struct Service<'a> {
    name: &'a str,
    runs: Runs,
}

impl<'a> Service<'a> {
    #[memorize(key = (self.name, id))]
    pub(crate) async fn find(&self, id: u32) -> String {
        self.runs.begin();
        format!("{}{id}", self.name)
    }

    #[memorize(key = name)]
    async fn length(&'a self, name: &'a str) -> usize {
        self.runs.begin();
        name.len() + self.name.len()
    }
}

trait Reads: Send + Sync {
    type Row: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;

    fn row(&self, id: u32) -> Self::Row;

    #[memorize(skip(self))]
    fn cached(&self, id: u32) -> Self::Row
    where
        Self: Sized,
    {
        self.row(id)
    }
}

impl Reads for Runs {
    type Row = BTreeMap<u32, u32>;

    fn row(&self, id: u32) -> Self::Row {
        self.begin();
        BTreeMap::from([(id, id)])
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
struct Own {
    id: u32,
}

impl Own {
    #[memorize(skip(runs))]
    pub(crate) async fn load(id: u32, runs: Runs) -> Option<Self> {
        runs.begin();
        Some(Self { id })
    }
}

macro_rules! getter {
    ($(#[$meta:meta])* $vis:vis $name:ident($argument:ident: $ty:ty) -> $out:ty $body:block) => {
        $(#[$meta])*
        #[memorize(expire = 5, skip(runs))]
        $vis async fn $name($argument: $ty, runs: Runs) -> $out {
            runs.begin();
            $body
        }
    };
}

getter! {
    /// Written by a macro.
    #[inline(never)]
    pub(crate) doubled(id: &u32) -> Result<u32, String> { Ok(id * 2) }
}

#[tokio::test(start_paused = true)]
async fn odd_functions_are_memorized_like_any_other() {
    let runs = Runs::default();
    alone(async {
        for _ in 0..2 {
            assert_eq!(r#type(1, runs.clone()).await, 1);
            assert_eq!(formatted(1, "en".to_owned(), runs.clone()).await, "1en");
            let words = ["a".to_owned()];
            assert_eq!(slices(Path::new("/x"), &[0; 4], &words, Arc::from([1_u8]), "b".into(), runs.clone()).await, 9);
            assert_eq!(mutated(vec![], "a".into(), runs.clone()).await, (vec![1], "a!".to_owned()));
            assert_eq!(Own::load(1, runs.clone()).await, Some(Own { id: 1 }));
            assert_eq!(doubled(&4, runs.clone()).await, Ok(8));
            assert_eq!(runs.cached(1), BTreeMap::from([(1, 1)]));
            let name = "ann".to_owned();
            let service = Service { name: &name, runs: runs.clone() };
            assert_eq!(service.find(1).await, "ann1");
            assert_eq!(service.length("xy").await, 5);
        }
        assert_eq!(runs.take(), 9);
        assert_eq!((unnamed(1, (2, 3)).await, unnamed(2, (9, 4)).await), (3, 4), "an unnamed argument counts too");
        assert!(r#type::invalidate(1).await.unwrap());
        assert!(formatted::invalidate(1, "en".to_owned()).await.unwrap());
        assert!(doubled::invalidate(&4).await.unwrap());
        assert!(Own::load_invalidate(1).await.unwrap());
        assert!(Service { name: "ann", runs: runs.clone() }.find_invalidate(1).await.unwrap());
    })
    .await;
}
