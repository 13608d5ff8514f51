//! A realm that is run for years: killed, out of disk, told new settings, started anew under load.

mod disk;
mod killed;
mod papers;
mod passwords;
mod place;
mod reload;
mod restart;
mod system;
