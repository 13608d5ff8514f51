//! An etcd of a test's own, of one node or several.

use std::path::Path;

use tempfile::TempDir;

use crate::family::Program;
use crate::{Daemon, Port, Tool, optional_peer};

/// Running nodes of a cluster.
pub struct Etcd {
    nodes: Vec<Node>,
    program: Program,
    folder: TempDir,
}

struct Node {
    name: String,
    client: Port,
    peer: Port,
    daemon: Option<Daemon>,
}

const READY: &str = "ready to serve client requests";

impl Etcd {
    /// Starts so many nodes, where it is installed; absence is treated as for [`crate::Family::present`].
    pub fn start(nodes: usize) -> Option<Etcd> {
        let program = optional_peer("etcd", "/usr/bin/etcd")?;
        let node =
            |number| Node { name: format!("node{number}"), client: Port::claim(), peer: Port::claim(), daemon: None };
        let folder = tempfile::tempdir().expect("a folder");
        let mut etcd = Etcd { nodes: (0..nodes).map(node).collect(), program, folder };
        etcd.restart(&(0..nodes).collect::<Vec<_>>());
        Some(etcd)
    }

    /// The URLs of its nodes.
    pub fn endpoints(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("http://{}", node.client.address())).collect()
    }

    /// Ends a node as a crash would; [`Etcd::restart`] brings it back.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].daemon = None;
    }

    /// Starts nodes again on what they have kept, all at once: one alone waits for a majority.
    pub fn restart(&mut self, nodes: &[usize]) {
        let commands: Vec<_> = nodes.iter().map(|node| (*node, self.tool(*node).command())).collect();
        let started: Vec<_> = std::thread::scope(|scope| {
            let starting: Vec<_> = commands
                .into_iter()
                .map(|(node, command)| (node, scope.spawn(move || Daemon::start(command, READY))))
                .collect();
            starting.into_iter().map(|(node, thread)| (node, thread.join().expect("it starts"))).collect()
        });
        for (node, daemon) in started {
            self.nodes[node].daemon = Some(daemon);
        }
    }

    /// Puts a command to the cluster.
    pub fn ctl(&self, words: &[&str]) {
        let Some(program) = optional_peer("etcdctl", "/usr/bin/etcdctl") else { return };
        let endpoints = self.endpoints().join(",");
        Tool::new(program).env("ETCDCTL_API", "3").args(["--endpoints", &endpoints]).args(words).run().succeeds();
    }

    /// All that its nodes have on their disks, as text: logs and databases, with all history.
    pub fn kept(&self) -> String {
        let mut text = String::new();
        read(self.folder.path(), &mut text);
        text
    }

    fn tool(&self, node: usize) -> Tool {
        let url = |port: &Port| format!("http://{}", port.address());
        let all = self.nodes.iter().map(|node| format!("{}={}", node.name, url(&node.peer))).collect::<Vec<_>>();
        let Node { name, client, peer, .. } = &self.nodes[node];
        Tool::new(self.program.clone())
            .args(["--name", name, "--initial-cluster", &all.join(","), "--initial-cluster-token", "test"])
            .args(["--listen-client-urls", &url(client), "--advertise-client-urls", &url(client)])
            .args(["--listen-peer-urls", &url(peer), "--initial-advertise-peer-urls", &url(peer), "--data-dir"])
            .args([self.folder.path().join(name)])
    }
}

fn read(folder: &Path, text: &mut String) {
    for file in std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path()) {
        match file.is_dir() {
            true => read(&file, text),
            false => text.push_str(&String::from_utf8_lossy(&std::fs::read(&file).expect("readable"))),
        }
    }
}
