//! What the process brings along: environment variables and user ids, as one explicit value.
//! [`Environment::from_process`] is the one place of libkrb that looks at the process.
#![allow(clippy::disallowed_methods, reason = "this is the door")]

use std::path::PathBuf;

/// The environment variables of Kerberos and the ids of the user. Tests and services make their
/// own; tools take [`Environment::from_process`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `KRB5_CONFIG`: files and directories, separated by colons.
    pub config: Option<String>,
    /// `KRB5CCNAME`: the default credential cache.
    pub ccache: Option<String>,
    /// `KRB5_KTNAME`: the default keytab.
    pub keytab: Option<String>,
    /// `KRB5_CLIENT_KTNAME`: the default keytab of a client.
    pub client_keytab: Option<String>,
    /// `KRB5_TRACE`: the file that traces go to.
    pub trace: Option<String>,
    /// `HOME`: where `~/` in `KRB5_CONFIG` leads.
    pub home: Option<String>,
    /// `TMPDIR`: what `%{TEMP}` stands for; `/tmp` without it.
    pub temporary: Option<String>,
    /// The real user id.
    pub uid: u32,
    /// The effective user id.
    pub euid: u32,
    /// The name of the effective user.
    pub user: Option<String>,
}

impl Environment {
    /// The process's own. Variables are ignored when the process runs with more rights than its
    /// caller has: setuid or setgid.
    pub fn from_process() -> Environment {
        use rustix::process::{getegid, geteuid, getgid, getuid};
        let trusted = getuid() == geteuid() && getgid() == getegid();
        let variable = |name| std::env::var(name).ok().filter(|_| trusted);
        let euid = geteuid().as_raw();
        Environment {
            config: variable("KRB5_CONFIG"),
            ccache: variable("KRB5CCNAME"),
            keytab: variable("KRB5_KTNAME"),
            client_keytab: variable("KRB5_CLIENT_KTNAME"),
            trace: variable("KRB5_TRACE"),
            home: variable("HOME"),
            temporary: variable("TMPDIR"),
            uid: getuid().as_raw(),
            euid,
            user: std::fs::read_to_string("/etc/passwd")
                .ok()
                .and_then(|text| user_in(&text, euid))
                .or_else(|| variable("USER"))
                .or_else(|| variable("LOGNAME")),
        }
    }

    /// Where the configuration is: `KRB5_CONFIG`, else `/etc/krb5.conf`.
    pub fn config_files(&self) -> Vec<PathBuf> {
        let list = self.config.as_deref().unwrap_or("/etc/krb5.conf");
        let expand = |path: &str| match (path.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
            _ => PathBuf::from(path),
        };
        list.split(':').filter(|path| !path.is_empty()).map(expand).collect()
    }

    /// What a `%{name}` stands for.
    pub(super) fn token(&self, name: &str) -> Option<String> {
        match name {
            "uid" | "USERID" => Some(self.uid.to_string()),
            "euid" => Some(self.euid.to_string()),
            "username" => self.user.clone(),
            "TEMP" => Some(self.temporary.clone().unwrap_or_else(|| "/tmp".to_owned())),
            "null" => Some(String::new()),
            "LIBDIR" => Some("/usr/lib".to_owned()),
            "BINDIR" => Some("/usr/bin".to_owned()),
            "SBINDIR" => Some("/usr/sbin".to_owned()),
            _ => None,
        }
    }

    /// Replaces every `%{name}`; the error says which one cannot be.
    pub(super) fn expand(&self, text: &str) -> Result<String, String> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("%{") {
            let (name, after) = after.split_once('}').ok_or("found \"%{\" without \"}\"")?;
            expanded.push_str(before);
            expanded.push_str(&self.token(name).ok_or_else(|| match name {
                "username" => format!("no name is known for user {}, so %{{username}} stands for nothing", self.euid),
                name => format!("found %{{{name}}}, expected uid, euid, USERID, username, TEMP, null or LIBDIR"),
            })?);
            rest = after;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }
}

/// The name of a user in the text of a password file.
fn user_in(passwd: &str, uid: u32) -> Option<String> {
    let uid = uid.to_string();
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_stand_for_what_the_environment_says() {
        let environment = Environment { uid: 1000, euid: 0, user: Some("root".into()), ..Environment::default() };
        assert_eq!(environment.expand("a%{uid}%{null}b%{euid}/%{username}").unwrap(), "a1000b0/root");
        assert_eq!(environment.expand("%{TEMP}/krb5cc_%{USERID}").unwrap(), "/tmp/krb5cc_1000");
        let environment = Environment { temporary: Some("/var/tmp".into()), ..environment };
        assert_eq!(environment.expand("%{TEMP} %{LIBDIR}").unwrap(), "/var/tmp /usr/lib");
        assert_eq!(environment.expand("100% {x}").unwrap(), "100% {x}");
    }

    #[test]
    fn a_token_that_stands_for_nothing_is_named() {
        let environment = Environment { euid: 7, ..Environment::default() };
        assert_eq!(environment.expand("a%{uid").unwrap_err(), "found \"%{\" without \"}\"");
        assert!(environment.expand("%{nonsense}").unwrap_err().starts_with("found %{nonsense}, expected uid"));
        assert!(environment.expand("%{username}").unwrap_err().contains("user 7"));
    }

    #[test]
    fn the_list_of_files_is_split_at_colons_and_knows_the_home() {
        let environment = Environment {
            config: Some("~/krb5.conf::/etc/krb5.conf.d:/etc/krb5.conf".into()),
            home: Some("/home/alice".into()),
            ..Environment::default()
        };
        let files: Vec<_> = environment.config_files().iter().map(|path| path.display().to_string()).collect();
        assert_eq!(files, ["/home/alice/krb5.conf", "/etc/krb5.conf.d", "/etc/krb5.conf"]);
        assert_eq!(Environment::default().config_files(), [PathBuf::from("/etc/krb5.conf")]);
    }

    #[test]
    fn the_process_has_ids_and_a_name() {
        let environment = Environment::from_process();
        assert_eq!(environment.uid, rustix::process::getuid().as_raw());
    }

    #[test]
    fn user_names_come_from_the_password_file() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\nbroken\n";
        assert_eq!(user_in(passwd, 1000).as_deref(), Some("alice"));
        assert_eq!(user_in(passwd, 1), None);
    }
}
