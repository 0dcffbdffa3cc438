//! What borrows from its caller runs in the caller's task, and `in_place` asks for it; `Send` is kept either way.
use std::{borrow::Cow, cell::Cell, fmt::Display, rc::Rc};

use memory_core::memorize;
use serde::Serialize;

#[derive(Serialize)]
struct View<'a>(&'a str);

#[memorize]
async fn views(view: View<'_>, parts: &[&str]) -> usize {
    tokio::task::yield_now().await;
    view.0.len() + parts.len()
}

#[memorize(skip(show))]
async fn dynamic(id: u64, show: &(dyn Display + Sync)) -> String {
    tokio::task::yield_now().await;
    format!("{id}{show}")
}

#[memorize(in_place)]
async fn not_send(id: u64) -> u64 {
    let local = Rc::new(Cell::new(id));
    tokio::task::yield_now().await;
    local.get()
}

#[memorize(in_place, skip(local))]
async fn not_send_argument(id: u64, local: Rc<Cell<u64>>) -> u64 {
    tokio::task::yield_now().await;
    id + local.get()
}

#[memorize]
async fn cows(name: Cow<'_, str>, bytes: Option<&[u8]>, path: &std::path::Path) -> String {
    tokio::task::yield_now().await;
    format!("{name}{}{}", bytes.map_or(0, <[u8]>::len), path.display())
}

fn is_send<T: Send>(value: T) -> T {
    value
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(is_send(views(View("ab"), &["c"])).await, 3);
    assert!(views::invalidate(View("ab"), &["c"]).await.unwrap());
    assert_eq!(is_send(dynamic(1, &"a")).await, "1a");
    assert_eq!(not_send(1).await, 1);
    assert_eq!(not_send_argument(1, Rc::new(Cell::new(2))).await, 3);
    assert!(not_send_argument::invalidate(1).await.unwrap());
    let path = std::path::Path::new("/tmp");
    assert_eq!(is_send(cows(Cow::Borrowed("a"), Some(b"bc"), path)).await, "a2/tmp");
    assert!(cows::invalidate(Cow::Borrowed("a"), Some(b"bc"), path).await.unwrap());
}
