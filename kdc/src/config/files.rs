//! Which files the settings name, by what is done with them: for those who confine the process to
//! their folders.

use std::path::Path;

use super::Config;

impl Config {
    /// Files that are made, changed or removed.
    pub fn files_written(&self) -> Vec<&Path> {
        let files = [Some(&self.store), Some(&self.admin_socket), self.audit.file.as_ref()];
        files.into_iter().flatten().map(|file| &**file).collect()
    }

    /// Files that are only read.
    pub fn files_read(&self) -> Vec<&Path> {
        let files = [Some(&self.master_key), self.admin.acl_file.as_ref(), self.audit.key.as_ref()];
        files.into_iter().chain([self.passwords.dictionary.as_ref()]).flatten().map(|file| &**file).collect()
    }
}
