//! The order of the dump server, and what either end of the cable is told of it.

use std::net::Ipv4Addr;

use super::Driver;
use super::wire::{Lines, decode_driver, encode_drivers};
use crate::words::{Line, SyntaxError, Words};

/// One end of the cable between a capture kernel and the dump server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The hardware address of the network device that the cable is in: `52:54:00:12:34:56`.
    pub mac: String,
    /// The address that it is given.
    pub address: Ipv4Addr,
    /// Bits of its network, at most 32.
    pub prefix: u8,
    /// Randomness for ssh.
    pub seed: String,
}

/// Load drivers, serve a directory, end when the cable is pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOrder {
    /// In this order.
    pub drivers: Vec<Driver>,
    /// Where clients come from.
    pub network: Network,
    /// Device node of the disk, which has an ext4 file system.
    pub disk: String,
    /// What is served, absolute: it is on the disk, and in the server's own tree, under this path.
    pub directory: String,
    /// Number of the user, and of the group, to whom the directory belongs.
    pub owner: u32,
    /// How.
    pub service: Service,
}

/// How a directory is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Service {
    /// By NFS.
    Nfs {
        /// Who may mount it, as exports(5) names clients.
        client: String,
    },
    /// By sshd, whose configuration lies in the initramfs.
    Ssh,
}

impl Network {
    pub(super) fn encode(&self, line: Line) -> Line {
        line.word("mac", &self.mac)
            .word("address", self.address)
            .word("prefix", self.prefix)
            .word("seed", &self.seed)
    }

    pub(super) fn decode(words: &mut Words<'_>) -> Result<Self, SyntaxError> {
        Ok(Self {
            mac: words.take("mac")?,
            address: words.parse_value("address")?,
            prefix: words.parse_value("prefix")?,
            seed: words.take("seed")?,
        })
    }
}

impl ServerOrder {
    pub(super) fn encode(&self) -> String {
        let head = Line::new("server")
            .word("disk", &self.disk)
            .word("directory", &self.directory)
            .word("owner", self.owner);
        let head = self.network.encode(head);
        let head = match &self.service {
            Service::Nfs { client } => head.word("service", "nfs").word("client", client),
            Service::Ssh => head.word("service", "ssh"),
        };
        let mut text = head.end();
        encode_drivers(&mut text, &self.drivers);
        text + "end\n"
    }

    /// `head` is the first line, and `lines` has the others.
    pub(super) fn decode(mut head: Words<'_>, lines: &mut Lines<'_>) -> Result<Self, SyntaxError> {
        let mut order = Self {
            drivers: Vec::new(),
            network: Network::decode(&mut head)?,
            disk: head.take("disk")?,
            directory: head.take("directory")?,
            owner: head.parse_value("owner")?,
            service: match head.take("service")?.as_str() {
                "nfs" => Service::Nfs {
                    client: head.take("client")?,
                },
                "ssh" => Service::Ssh,
                other => return Err(SyntaxError::new(format!("`{other}` is no service"))),
            },
        };
        head.finish()?;
        lines.items(|words| decode_driver(&mut order.drivers, words))?;
        Ok(order)
    }
}
