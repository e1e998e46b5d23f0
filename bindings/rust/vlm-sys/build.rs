//! Finds libvlmhost: in VLM_LIB_DIR when it is set, else where pkg-config says, else in the usual places of the linker.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=VLM_LIB_DIR");
    println!("cargo:rustc-link-lib=dylib=vlmhost");
    if let Ok(folder) = std::env::var("VLM_LIB_DIR") {
        println!("cargo:rustc-link-search=native={}", folder);
        return;
    }
    let asked = Command::new("pkg-config").args(["--variable=libdir", "vlmhost"]).output();
    if let Ok(answer) = asked {
        let folder = String::from_utf8_lossy(&answer.stdout).trim().to_string();
        if answer.status.success() && !folder.is_empty() {
            println!("cargo:rustc-link-search=native={}", folder);
        }
    }
}
