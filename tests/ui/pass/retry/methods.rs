//! Every receiver, in inherent, trait and `async_trait` implementations.

use std::{io, sync::Arc};

use memory_core::retry;

#[derive(Clone, Default)]
struct Service(u32);

impl Service {
    #[retry]
    pub async fn shared(&self) -> Result<u32, io::Error> {
        Ok(self.0)
    }

    #[retry]
    async fn exclusive(&mut self, by: u32) -> Result<u32, io::Error> {
        self.0 += by;
        if self.0 < 3 { Err(io::ErrorKind::TimedOut.into()) } else { Ok(self.0) }
    }

    #[retry]
    async fn owned(mut self: Box<Self>) -> Result<u32, io::Error> {
        self.0 += 1;
        Ok(self.0)
    }

    #[retry]
    fn behind(self: &Arc<Self>) -> Result<u32, io::Error> {
        Ok(self.0)
    }

    #[retry]
    fn associated() -> Result<Self, io::Error> {
        Ok(Self(7))
    }
}

#[async_trait::async_trait]
trait Dynamic {
    async fn call(&mut self, list: &mut Vec<u32>, (a, b): (u32, u32)) -> Result<usize, io::Error>;
}

#[async_trait::async_trait]
impl Dynamic for Service {
    #[retry]
    async fn call(&mut self, list: &mut Vec<u32>, (a, b): (u32, u32)) -> Result<usize, io::Error> {
        list.push(a + b + self.0);
        if list.len() < 3 { Err(io::ErrorKind::TimedOut.into()) } else { Ok(list.len()) }
    }
}

#[async_trait::async_trait(?Send)]
trait Local {
    async fn call(&self) -> Result<u32, io::Error>;
}

#[async_trait::async_trait(?Send)]
impl Local for Service {
    #[retry]
    async fn call(&self) -> Result<u32, io::Error> {
        Ok(self.0)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(Service(1).shared().await.unwrap(), 1);
    assert_eq!(Service(0).exclusive(1).await.unwrap(), 3);
    assert_eq!(Box::new(Service(1)).owned().await.unwrap(), 2);
    assert_eq!(Arc::new(Service(1)).behind().unwrap(), 1);
    assert_eq!(Service::associated().unwrap().0, 7);
    assert_eq!(Dynamic::call(&mut Service(1), &mut vec![], (1, 2)).await.unwrap(), 3);
    assert_eq!(Local::call(&Service(4)).await.unwrap(), 4);
}
