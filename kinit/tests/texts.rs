//! What the tools print, compared with the files in `cmd/`: one command a file, run among the files
//! of `cmd/data` in a place of its own. Those in `cmd/realm` find a krb5.conf with a default realm,
//! the others an empty one.

#[test]
fn every_tool_prints_what_its_file_says() {
    let cases = trycmd::TestCases::new();
    cases.case("tests/cmd/*.toml").env("TZ", "UTC").env("LC_ALL", "C").env("KRB5_CONFIG", "/dev/null");
}

#[test]
fn every_tool_prints_what_its_file_says_where_there_is_a_realm() {
    let cases = trycmd::TestCases::new();
    cases.case("tests/cmd/realm/*.toml").env("TZ", "UTC").env("LC_ALL", "C").env("KRB5_CONFIG", "realm.conf");
}

#[test]
fn other_locales_time_zones_and_configurations_show() {
    trycmd::TestCases::new().case("tests/cmd/elsewhere/*.toml");
}
