//! A process for each measurement.

use std::{
    io::{Write, stdout},
    process::{Command, Stdio},
};

use crate::{
    options::{CHILD, Options},
    report::Row,
};

/// Runs one measurement in a process of its own.
pub(crate) fn measure(name: &str, options: &Options) -> Result<Vec<Row>, String> {
    let failed = |problem: String| format!("{name}: {problem}");
    let own = std::env::current_exe().map_err(|problem| failed(problem.to_string()))?;
    let mut child = Command::new(own);
    child.args([CHILD, "--only", name]).stderr(Stdio::inherit());
    if options.quick {
        child.arg("--quick");
    }
    let output = child.output().map_err(|problem| failed(problem.to_string()))?;
    if !output.status.success() {
        return Err(failed(format!("ended with {}", output.status)));
    }
    serde_json::from_slice(&output.stdout).map_err(|problem| failed(problem.to_string()))
}

/// Tells the process that started this one.
pub(crate) fn tell(rows: &[Row]) -> Result<(), String> {
    let text = serde_json::to_string(rows).map_err(|problem| problem.to_string())?;
    stdout().write_all(text.as_bytes()).map_err(|problem| problem.to_string())
}
