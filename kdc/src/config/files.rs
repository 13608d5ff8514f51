//! Which files the settings name, by what is done with them: for those who confine the process to
//! their folders.

use std::path::Path;

use super::Config;

impl Config {
    /// Files that are made, changed or removed.
    pub fn files_written(&self) -> Vec<&Path> {
        // The master key too, while it is rolled over.
        let files =
            [Some(&*self.store.file), Some(&self.admin_socket), self.audit.file.as_deref(), self.master_key.path()];
        files.into_iter().flatten().chain(self.unix_listen.iter().map(|socket| &**socket)).collect()
    }

    /// Files that are only read.
    pub fn files_read(&self) -> Vec<&Path> {
        let admin = &self.admin;
        let tls = [&admin.acl_file, &admin.certificate, &admin.key, &admin.client_ca, &admin.client_crl];
        let kkdcp = [&self.kkdcp.certificate, &self.kkdcp.key];
        let files = [self.audit.key.as_ref(), self.passwords.dictionary.as_ref()];
        let tls = tls.into_iter().chain(kkdcp).map(Option::as_ref);
        let files = files.into_iter().chain(tls).flatten().map(|file| &**file);
        let secrets = self.otp.radius.iter().filter_map(|row| row.secret.path());
        files.chain(self.pkinit.files()).chain(secrets).chain(self.store.files_read()).collect()
    }
}
