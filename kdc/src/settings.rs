//! Which kdc.toml a command is about: the one that is named, or the one that is where a realm's settings
//! are. Not here: what stands in it (`config`).

use std::path::{Path, PathBuf};

use clap::Args;

use crate::error::{Error, Result};

/// The variable that names it for all commands.
const VARIABLE: &str = "KDC_CONFIG";
/// Where it is looked for; the last is the one of docs/systemd.
const USUAL: [&str; 2] = ["/etc/kdc/kdc.toml", "/var/lib/kdc/kdc.toml"];

/// The settings of a realm.
#[derive(Clone, Debug, Default, Args)]
pub struct Settings {
    /// The realm's kdc.toml [default: the one that KDC_CONFIG names, or /etc/kdc/kdc.toml or /var/lib/kdc/kdc.toml]
    #[arg(long = "config", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Settings {
    /// The file.
    ///
    /// # Errors
    /// When nothing names one and none is where it is looked for.
    pub fn file(&self) -> Result<PathBuf> {
        let named = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
        self.choose(named, |path| path.exists())
    }

    fn choose(&self, named: Option<PathBuf>, exists: impl Fn(&Path) -> bool) -> Result<PathBuf> {
        let usual = || USUAL.iter().map(PathBuf::from).find(|path| exists(path));
        self.file.clone().or(named).or_else(usual).ok_or_else(|| {
            let places = USUAL.join(" nor ");
            Error::Other(format!(
                "which realm? name its kdc.toml with --config FILE or in {VARIABLE}; neither {places} is there, and `kdc init` makes one"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_comes_before_what_is_found_and_the_command_line_before_all() {
        let named = Settings { file: Some("mine.toml".into()) };
        let variable = || Some(PathBuf::from("variable.toml"));
        let chosen = |settings: &Settings, named, found: &[&str]| {
            settings
                .choose(named, |path| found.iter().any(|it| Path::new(it) == path))
                .map_err(|error| error.to_string())
        };
        let (open, all) = (Settings::default(), USUAL);
        assert_eq!(chosen(&named, variable(), &all), Ok("mine.toml".into()));
        assert_eq!(chosen(&open, variable(), &all), Ok("variable.toml".into()));
        assert_eq!(chosen(&open, None, &all), Ok(USUAL[0].into()));
        assert_eq!(chosen(&open, None, &all[1..]), Ok(USUAL[1].into()));
        assert!(
            chosen(&open, None, &[]).is_err_and(|error| error.contains("--config FILE") && error.contains(VARIABLE))
        );
    }
}
