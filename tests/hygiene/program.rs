//! Runs the shape that is named on the command line.

{lints}

{modules}

fn main() {
    match ::std::env::args().nth(1).as_deref() {
        {arms}
        other => panic!("no shape is called {other:?}"),
    }
}
