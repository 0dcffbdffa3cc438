//! Handlers stay handlers: extractors are keyed by their inside, `State` never is.
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use axum::{
    Extension, Form, Json, Router,
    body::Body,
    extract::{Path, Query, State},
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use memory_core::memorize;
use serde::{Deserialize, Serialize};
use tower::ServiceExt;

#[derive(Clone, Default)]
struct Db(Arc<AtomicU32>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
}

#[derive(Debug)]
struct AppError(&'static str);

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        (StatusCode::NOT_FOUND, self.0).into_response()
    }
}

type Answer<T> = Result<Json<T>, AppError>;

/// One user.
#[memorize(expire = 60)]
async fn get_user(State(db): State<Db>, Path(id): Path<u64>) -> Answer<User> {
    db.0.fetch_add(1, Ordering::Relaxed);
    if id == 0 {
        return Err(AppError("no such user"));
    }
    Ok(Json(User { id, name: "Ann".to_owned() }))
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Page {
    from: u32,
    size: Option<u32>,
}

#[derive(Clone, Serialize)]
struct Tenant(String);

#[memorize(expire = 60, skip(headers))]
async fn list(
    State(db): State<Db>,
    Extension(tenant): Extension<Tenant>,
    Path((team, member)): Path<(String, u8)>,
    Query(page): Query<Page>,
    headers: axum::http::HeaderMap,
) -> Json<Vec<String>> {
    let runs = db.0.fetch_add(1, Ordering::Relaxed);
    Json(vec![tenant.0, team, member.to_string(), page.from.to_string(), headers.len().to_string(), runs.to_string()])
}

#[memorize]
async fn submit(state: State<Db>, body: Form<Page>) -> Json<u32> {
    Json(state.0.0.fetch_add(1, Ordering::Relaxed) + body.0.from)
}

async fn body_of(app: &Router, uri: &str) -> (StatusCode, String) {
    let response = app.clone().oneshot(Request::get(uri).body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let db = Db::default();
    let runs = || db.0.load(Ordering::Relaxed);
    let app = Router::new()
        .route("/users/{id}", get(get_user))
        .route("/teams/{team}/{member}", get(list))
        .route("/submit", post(submit))
        .layer(Extension(Tenant("acme".to_owned())))
        .with_state(db.clone());

    assert_eq!(body_of(&app, "/users/7").await, (StatusCode::OK, r#"{"id":7,"name":"Ann"}"#.to_owned()));
    assert_eq!(body_of(&app, "/users/7").await.0, StatusCode::OK);
    assert_eq!(runs(), 1);
    assert_eq!(body_of(&app, "/users/0").await, (StatusCode::NOT_FOUND, "no such user".to_owned()));
    assert_eq!(body_of(&app, "/users/0").await.0, StatusCode::NOT_FOUND);
    assert_eq!(runs(), 3, "an Err is not stored");

    let ann = User { id: 7, name: "Ann".to_owned() };
    assert_eq!(get_user::peek(7).await.unwrap().unwrap().unwrap().0, ann);
    assert!(get_user::invalidate(Path(7)).await.unwrap());
    assert!(get_user::peek(7).await.unwrap().is_none());
    get_user::put(7, Ok(Json(ann.clone()))).await.unwrap();
    get_user::put(8, Err(AppError("not stored"))).await.unwrap();
    assert!(get_user::peek(8).await.unwrap().is_none());
    assert_eq!(get_user(State(db.clone()), Path(7)).await.unwrap().0, ann);
    assert_eq!(runs(), 3);
    assert_eq!(get_user::refresh(State(db.clone()), Path(7)).await.unwrap().0, ann);
    assert_eq!(get_user::uncached(State(db.clone()), Path(7)).await.unwrap().0, ann);
    assert_eq!(runs(), 5);

    let first = body_of(&app, "/teams/red/1?from=2").await;
    assert_eq!(first.1, r#"["acme","red","1","2","0","5"]"#);
    assert_eq!(body_of(&app, "/teams/red/1?from=2").await, first);
    assert_ne!(body_of(&app, "/teams/red/1?from=3").await, first);
    assert_ne!(body_of(&app, "/teams/red/2?from=2").await, first);
    let page = || Page { from: 2, size: None };
    let tenant = || Tenant("acme".to_owned());
    assert!(list::peek(tenant(), ("red".to_owned(), 1), page()).await.unwrap().is_some());
    assert!(list::invalidate(Extension(tenant()), Path(("red".to_owned(), 1)), Query(page())).await.unwrap());
    assert_ne!(body_of(&app, "/teams/red/1?from=2").await, first);

    let before = runs();
    let form = || Form(Page { from: 1, size: None });
    assert_eq!(submit(State(db.clone()), form()).await.0, submit(State(db.clone()), form()).await.0);
    assert_eq!(runs(), before + 1);
}
