//! The commands on password policies, and what is said of policies beside those on principals.

use super::show::duration;
use super::{Console, Done, Talk, say, unexpected};
use crate::admin::operation::{Answer, Operation};
use crate::admin::policies::{PolicyDescription, PolicyRules};

impl Console<'_> {
    pub(super) fn add_policy(&self, name: String, rules: PolicyRules) -> Done {
        let circumstance = format!("while creating policy \"{name}\".");
        self.ask(Operation::CreatePolicy { name, rules }, "add_policy", || circumstance).map(drop)
    }

    pub(super) fn modify_policy(&self, name: String, rules: PolicyRules) -> Done {
        let circumstance = format!("while modifying policy \"{name}\".");
        self.ask(Operation::ModifyPolicy { name, rules }, "modify_policy", || circumstance).map(drop)
    }

    pub(super) fn delete_policy(&self, name: String, force: bool, talk: &mut dyn Talk) -> Done {
        if !self.confirmed(force, &format!("Are you sure you want to delete the policy \"{name}\"?"), talk) {
            return Err(format!("Policy \"{name}\" not deleted."));
        }
        let circumstance = format!("while deleting policy \"{name}\"");
        // MIT's second colon, which scripts know.
        self.ask(Operation::DeletePolicy { name }, "delete_policy:", || circumstance).map(drop)
    }

    pub(super) fn describe_policy(&self, name: String, terse: bool, talk: &mut dyn Talk) -> Done {
        let circumstance = format!("while retrieving policy \"{name}\".");
        match self.ask(Operation::DescribePolicy { name }, "get_policy", || circumstance)? {
            Answer::Policy(policy) => say(talk, &if terse { brief(&policy) } else { full(&policy) }),
            _ => Err(unexpected()),
        }
    }

    pub(super) fn list_policies(&self, pattern: Option<String>, talk: &mut dyn Talk) -> Done {
        let list = Operation::ListPolicies { pattern };
        match self.ask(list, "get_policies", || "while retrieving list.".to_owned())? {
            Answer::Policies(names) => {
                names.iter().for_each(|name| talk.out(&format!("{name}\n")));
                Ok(())
            }
            _ => Err(unexpected()),
        }
    }

    /// Says which policy a new principal comes under, `policy` being what was asked for.
    pub(super) fn tell_policy(&self, new: &libkrb::Principal, policy: Option<&str>, talk: &mut dyn Talk) {
        if self.quiet {
            return;
        }
        match policy {
            Some(_) => self.warn_of_missing(policy, talk),
            None if self.policy_exists("default") => {
                talk.err(&format!("No policy specified for {new}; assigning \"default\"\n"));
            }
            None => talk.err(&format!("No policy specified for {new}; defaulting to no policy\n")),
        }
    }

    /// Says so when the policy that is asked for does not exist.
    pub(super) fn warn_of_missing(&self, policy: Option<&str>, talk: &mut dyn Talk) {
        let Some(name) = policy.filter(|name| !name.is_empty() && !self.quiet) else { return };
        if !self.policy_exists(name) {
            talk.err(&format!("WARNING: policy \"{name}\" does not exist\n"));
        }
    }

    fn policy_exists(&self, name: &str) -> bool {
        self.registry.perform(Operation::DescribePolicy { name: name.to_owned() }).is_ok()
    }
}

/// The lines for people; scripts read MIT's, and ours are there when they say something.
fn full(policy: &PolicyDescription) -> String {
    let rules = &policy.rules;
    let time = |seconds: Option<i64>| duration(seconds.unwrap_or_default());
    let number = |number: Option<u32>| number.unwrap_or_default();
    let mut text = format!(
        "Policy: {}
Maximum password life: {}
Minimum password life: {}
Minimum password length: {}
Minimum number of password character classes: {}
Number of old keys kept: {}
Maximum password failures before lockout: {}
Password failure count reset interval: {}
Password lockout duration: {}
",
        policy.name,
        time(rules.max_life),
        time(rules.min_life),
        number(rules.min_length),
        number(rules.min_classes),
        number(rules.history),
        number(rules.max_failures),
        time(rules.failure_interval),
        time(rules.lockout_duration),
    );
    if let Some(list) = rules.allowed_key_salts.as_ref().filter(|list| !list.is_empty()) {
        text += &format!("Allowed key/salt types: {list}\n");
    }
    if rules.dictionary == Some(false) {
        text += "Words of the dictionary: allowed\n";
    }
    if let Some(strength) = rules.min_strength.filter(|strength| *strength != 0) {
        text += &format!("Minimum password strength: {strength}\n");
    }
    for (what, seconds) in [
        ("Maximum ticket life", rules.max_ticket_life),
        ("Maximum renewable life", rules.max_renewable_life),
        ("Random keys made anew after", rules.rotate_keys_after),
        ("Old random keys kept for", rules.keep_old_keys),
    ] {
        if let Some(seconds) = seconds.filter(|seconds| *seconds != 0) {
            text += &format!("{what}: {}\n", duration(seconds));
        }
    }
    text
}

/// Fields between tabs, in MIT's order.
fn brief(policy: &PolicyDescription) -> String {
    let rules = &policy.rules;
    let time = |seconds: Option<i64>| seconds.unwrap_or_default().to_string();
    let number = |number: Option<u32>| number.unwrap_or_default().to_string();
    let salts = rules.allowed_key_salts.as_deref().filter(|list| !list.is_empty());
    let fields = [
        format!("\"{}\"", policy.name),
        time(rules.max_life),
        time(rules.min_life),
        number(rules.min_length),
        number(rules.min_classes),
        number(rules.history),
        // Once the number of principals under it.
        "0".into(),
        number(rules.max_failures),
        time(rules.failure_interval),
        time(rules.lockout_duration),
        salts.unwrap_or("-").to_owned(),
    ];
    fields.join("\t") + "\n"
}
