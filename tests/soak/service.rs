//! The service: memorized handlers and functions of many shapes.

use std::{future::Future, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    routing::get,
};
use memory_core::{FmCache, FmCacheManager, FmError, memorize};
use serde::{Deserialize, Serialize};

use crate::{
    call::{Call, Made, Shape},
    order::{AppError, CurrentUser, Order, Own},
};

type Answer = Result<Json<Made>, AppError>;
type Value = Result<Made, AppError>;

/// State that no key knows of.
#[derive(Clone)]
struct Service;

#[memorize(expire = 0.8, namespace = "profiles", skip(order))]
async fn profile(State(_): State<Service>, user: CurrentUser, order: Order) -> Answer {
    Ok(Json(order.make(Call::new(Shape::Profile, &user.name, &[])).await?))
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Page {
    pub(crate) filter: String,
}

#[memorize(expire = 0.8, tags = ["items".to_owned(), format!("owner:{owner}")], skip(order))]
async fn item(
    user: CurrentUser,
    Path((owner, name)): Path<(String, String)>,
    Query(page): Query<Page>,
    order: Order,
) -> Answer {
    Ok(Json(order.make(Call::new(Shape::Item, &user.name, &[&owner, &name, &page.filter])).await?))
}

/// Keyed as `self`.
#[derive(Serialize)]
pub(crate) struct Shop {
    pub(crate) user: String,
}

impl Shop {
    #[memorize(expire = 0.8, skip(order))]
    pub(crate) async fn price(&self, id: &str, order: &Order) -> Value {
        Ok(order.make(Call::new(Shape::Price, &self.user, &[id])).await?)
    }
}

async fn price(user: CurrentUser, Path(id): Path<String>, order: Order) -> Answer {
    Shop { user: user.name }.price(&id, &order).await.map(Json)
}

/// A parameter that is in the key and in no argument.
pub(crate) trait Colour: Send + 'static {
    const SHAPE: Shape;
}

pub(crate) struct Red;
pub(crate) struct Blue;

impl Colour for Red {
    const SHAPE: Shape = Shape::Red;
}

impl Colour for Blue {
    const SHAPE: Shape = Shape::Blue;
}

#[memorize(expire = 0.8, tags = ["coloured"], skip(order))]
async fn paint<C: Colour>(user: String, id: String, order: Order) -> Value {
    Ok(order.make(Call::new(C::SHAPE, &user, &[&id])).await?)
}

async fn painted<C: Colour>(user: CurrentUser, Path(id): Path<String>, order: Order) -> Answer {
    paint::<C>(user.name, id, order).await.map(Json)
}

#[memorize(expire = 0.3, stale_while_revalidate = 0.6, tags = |made| made.iter().flat_map(|made| tags_of(made)), skip(order))]
async fn feed(user: CurrentUser, Path((id, part)): Path<(String, String)>, order: Order) -> Answer {
    Ok(Json(order.make(Call::new(Shape::Feed, &user.name, &[&id, &part])).await?))
}

/// Tags that only the value says.
fn tags_of(made: &Made) -> [String; 2] {
    [format!("user:{}", made.of.user), "feeds".to_owned()]
}

#[memorize(expire = 0.3, stale_if_error = 0.9, namespace = "excused", skip(order))]
async fn excused(user: CurrentUser, Path(id): Path<String>, order: Order) -> Answer {
    Ok(Json(order.make(Call::new(Shape::Excused, &user.name, &[&id])).await?))
}

#[memorize(expire = 0.7, timeout = 1, skip(order))]
async fn limited(user: CurrentUser, Path(id): Path<String>, order: Order) -> Answer {
    Ok(Json(order.make(Call::new(Shape::Limited, &user.name, &[&id])).await?))
}

#[memorize(expire = 0.4, soft_timeout = 0.02, timeout = 1, skip(order))]
async fn soft(user: CurrentUser, Path(id): Path<String>, order: Order) -> Answer {
    Ok(Json(order.make(Call::new(Shape::Soft, &user.name, &[&id])).await?))
}

#[memorize(expire = 0.7, refresh_ahead = 0.5, jitter = 0.2, skip(order))]
async fn ahead(user: CurrentUser, Path((id, part)): Path<(String, String)>, order: Order) -> Answer {
    Ok(Json(order.make(Call::new(Shape::Ahead, &user.name, &[&id, &part])).await?))
}

#[memorize(expire = 0.7, cache_none, skip(order))]
async fn lookup(user: &str, id: &str, order: Order) -> Result<Option<Made>, AppError> {
    let call = Call::new(Shape::Lookup, user, &[id]);
    let nothing = call.finds_nothing();
    Ok(Some(order.make(call).await?).filter(|_| !nothing))
}

async fn looked_up(user: CurrentUser, Path(id): Path<String>, order: Order) -> Result<Json<Option<Made>>, AppError> {
    lookup(&user.name, &id, order).await.map(Json)
}

/// Not `Serialize`: for the memory of this process.
pub(crate) struct Secret(Made);

#[memorize(expire = 0.7, memory_only, tags = [user], skip(order))]
async fn secret(user: String, id: String, order: Order) -> Result<Arc<Secret>, AppError> {
    Ok(Arc::new(Secret(order.make(Call::new(Shape::Secret, &user, &[&id])).await?)))
}

async fn told_secret(user: CurrentUser, Path(id): Path<String>, order: Order) -> Answer {
    Ok(Json(secret(user.name, id, order).await?.0.clone()))
}

#[memorize(expire = 0.6, in_place, timeout = 1, skip(order))]
async fn view(user: &CurrentUser, id: &str, order: &Order) -> Value {
    Ok(order.make(Call::new(Shape::View, &user.name, &[id])).await?)
}

async fn viewed(user: CurrentUser, Path(id): Path<String>, order: Order) -> Answer {
    view(&user, &id, &order).await.map(Json)
}

#[memorize(expire = 0.6, key = (id, user))]
async fn unshared(user: String, id: String, order: Order) -> Result<Made, Own> {
    order.make(Call::new(Shape::Unshared, &user, &[&id])).await.map_err(Own)
}

async fn run_by_each(user: CurrentUser, Path(id): Path<String>, order: Order) -> Answer {
    unshared(user.name, id, order).await.map(Json).map_err(|Own(failure)| AppError::Body(failure))
}

async fn by_hand(user: CurrentUser, Path(id): Path<String>, order: Order) -> Answer {
    let call = Call::new(Shape::ByHand, &user.name, &[&id]);
    let run = FmCacheManager::get_or_compute(id, move || async move { Ok::<_, AppError>(order.make(call).await?) });
    run.namespace(hand_of(&user.name)).expire(0.6).await.map(Json)
}

/// The namespace of what a user stores by hand.
fn hand_of(user: &str) -> String {
    format!("hand {user}")
}

async fn direct(user: CurrentUser, Path(id): Path<String>, order: Order) -> Answer {
    if let Some(found) = FmCacheManager::get::<Made>(id.as_str()).namespace(user.name.as_str()).await? {
        return Ok(Json(found));
    }
    let made = order.make(Call::new(Shape::Direct, &user.name, &[&id])).await?;
    FmCacheManager::set(id, made.clone()).namespace(user.name).tags(["direct"]).expire(0.6).await?;
    Ok(Json(made))
}

/// The path of a shape: where a question of it is asked.
pub(crate) fn path_of(shape: Shape) -> String {
    format!("{shape:?}")
}

pub(crate) fn router(cache: &FmCache) -> Router {
    let at = |shape: Shape, parts: &str| format!("/{}{parts}", path_of(shape));
    Router::new()
        .route(&at(Shape::Profile, ""), get(profile))
        .route(&at(Shape::Item, "/{owner}/{name}"), get(item))
        .route(&at(Shape::Price, "/{id}"), get(price))
        .route(&at(Shape::Red, "/{id}"), get(painted::<Red>))
        .route(&at(Shape::Blue, "/{id}"), get(painted::<Blue>))
        .route(&at(Shape::Feed, "/{id}/{part}"), get(feed))
        .route(&at(Shape::Excused, "/{id}"), get(excused))
        .route(&at(Shape::Limited, "/{id}"), get(limited))
        .route(&at(Shape::Soft, "/{id}"), get(soft))
        .route(&at(Shape::Ahead, "/{id}/{part}"), get(ahead))
        .route(&at(Shape::Lookup, "/{id}"), get(looked_up))
        .route(&at(Shape::Secret, "/{id}"), get(told_secret))
        .route(&at(Shape::View, "/{id}"), get(viewed))
        .route(&at(Shape::Unshared, "/{id}"), get(run_by_each))
        .route(&at(Shape::ByHand, "/{id}"), get(by_hand))
        .route(&at(Shape::Direct, "/{id}"), get(direct))
        .layer(cache.layer())
        .with_state(Service)
}

/// Invalidates what is stored for one question.
pub(crate) async fn forget(call: &Call) -> Result<bool, FmError> {
    let (user, arguments) = (call.user.clone(), &call.arguments);
    let argument = |at: usize| arguments[at].clone();
    match call.shape {
        Shape::Profile => profile::invalidate(user).await,
        Shape::Item => item::invalidate(user, (argument(0), argument(1)), Page { filter: argument(2) }).await,
        Shape::Price => Shop { user }.price_invalidate(&argument(0)).await,
        Shape::Red => paint::invalidate::<Red>(user, argument(0)).await,
        Shape::Blue => paint::invalidate::<Blue>(user, argument(0)).await,
        Shape::Feed => feed::invalidate(user, (argument(0), argument(1))).await,
        Shape::Excused => excused::invalidate(user, argument(0)).await,
        Shape::Limited => limited::invalidate(user, argument(0)).await,
        Shape::Soft => soft::invalidate(user, argument(0)).await,
        Shape::Ahead => ahead::invalidate(user, (argument(0), argument(1))).await,
        Shape::Lookup => lookup::invalidate(&user, &argument(0)).await,
        Shape::Secret => secret::invalidate(user, argument(0)).await,
        Shape::View => view::invalidate(user, &argument(0)).await,
        Shape::Unshared => unshared::invalidate(user, argument(0)).await,
        Shape::ByHand => FmCacheManager::remove(argument(0)).namespace(hand_of(&user)).await,
        Shape::Direct => FmCacheManager::remove(argument(0)).namespace(user).await,
    }
}

/// Stores a value for one question, where that is done by a companion.
pub(crate) async fn prime(call: &Call) -> Result<(), FmError> {
    let made = Made::new(call.clone(), crate::call::now());
    let (user, argument) = (call.user.clone(), |at: usize| call.arguments[at].clone());
    match call.shape {
        Shape::Profile => profile::put(user, Ok(Json(made))).await,
        Shape::Feed => feed::put(user, (argument(0), argument(1)), Ok(Json(made))).await,
        Shape::Red => paint::put::<Red>(user, argument(0), Ok(made)).await,
        Shape::Lookup if !call.finds_nothing() => lookup::put(&user, &argument(0), Ok(Some(made))).await,
        Shape::Secret => secret::put(user, argument(0), Ok(Arc::new(Secret(made)))).await,
        Shape::Direct => FmCacheManager::set(argument(0), made).namespace(user).expire(0.6).await,
        _ => Ok(()),
    }
}

/// Serves until it is aborted.
pub(crate) fn serve(listener: tokio::net::TcpListener, cache: &FmCache) -> impl Future<Output = ()> + use<> {
    let router = router(cache);
    async move { axum::serve(listener, router).await.expect("it serves for ever") }
}
