//! Only the marked fields are the key; companions take the value or its key.

use memory_core::{
    __private::{KeyArg, KeyBuf},
    CacheKey,
};

#[derive(CacheKey)]
struct CurrentUser {
    #[cache_key]
    id: u64,
    session: &'static str,
}

#[derive(CacheKey)]
struct Tenant(#[cache_key] String, #[cache_key] u32, f64);

#[derive(CacheKey)]
struct View<'a> {
    #[cache_key]
    name: &'a str,
    page: u8,
}

#[derive(CacheKey)]
struct Owned<T: Clone, const N: usize>
where
    T: PartialEq,
{
    #[cache_key]
    ids: [T; N],
    #[cache_key]
    r#type: Option<T>,
    note: Vec<T>,
}

#[derive(CacheKey)]
struct Bare<T> {
    #[cache_key]
    id: T,
    note: u8,
}

#[derive(CacheKey)]
struct Boxed<T> {
    #[cache_key]
    id: Box<T>,
}

fn key(push: impl FnOnce(&mut KeyBuf)) -> KeyBuf {
    let mut key = KeyBuf::function(1);
    push(&mut key);
    key
}

fn argument<T: CacheKey>(value: impl KeyArg<T>) -> KeyBuf {
    key(|key| value.push_arg(key, |value, key| value.push_key(key)))
}

fn is_key<T: CacheKey<Key = K>, K>() {}

fn main() {
    is_key::<CurrentUser, u64>();
    is_key::<Tenant, (String, u32)>();
    is_key::<View<'_>, &str>();
    is_key::<Bare<u8>, u8>();

    let user = |id, session| CurrentUser { id, session };
    assert_ne!(user(1, "a").session, user(1, "b").session);
    assert!(argument::<CurrentUser>(user(1, "a")).as_key() == argument::<CurrentUser>(user(1, "b")).as_key());
    assert!(argument::<CurrentUser>(user(1, "a")).as_key() != argument::<CurrentUser>(user(2, "a")).as_key());
    assert!(argument::<CurrentUser>(1).as_key() == argument::<CurrentUser>(user(1, "a")).as_key());

    let tenant = Tenant("x".into(), 7, 0.5);
    assert!(tenant.2 > 0.0);
    assert!(argument::<Tenant>(("x".to_owned(), 7)).as_key() == argument::<Tenant>(tenant).as_key());

    let view = View { name: "x", page: 3 };
    assert_eq!(view.page, 3);
    assert!(argument::<View<'_>>("x").as_key() == argument::<View<'_>>(view).as_key());

    let owned = Owned { ids: [1, 2], r#type: Some(3), note: vec![4] };
    assert_eq!(owned.note, [4]);
    assert!(argument::<Owned<i32, 2>>(([1, 2], Some(3))).as_key() == argument::<Owned<i32, 2>>(owned).as_key());

    let bare = Bare { id: 1, note: 2 };
    assert_eq!(bare.note, 2);
    assert!(argument::<Bare<i32>>(bare).as_key() == key(|key| key.push(&1)).as_key());
    assert!(argument::<Boxed<i32>>(Boxed { id: Box::new(1) }).as_key() == key(|key| key.push(&1)).as_key());
}
