use axum::{Json, http::StatusCode};
use memory_core::memorize;

#[derive(Clone, serde::Serialize)]
struct User {
    id: u64,
}

#[memorize(expire = 60)]
async fn user() -> (StatusCode, Json<User>) {
    (StatusCode::CREATED, Json(User { id: 7 }))
}

fn main() {}
