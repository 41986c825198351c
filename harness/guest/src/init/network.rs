//! A network interface: found, given an address, and waited for until there is a cable in it.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use crashdrill_guest::order::Network;
use crashdrill_guest::report::Report;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};

use crate::error::{Context, Failure};
use crate::{Init, console, events};

const INTERFACES: &str = "/sys/class/net";
/// RTMGRP_LINK of rtnetlink(7): interfaces that come, go, or change their state.
const LINKS: u32 = 1;

/// Announcements of interfaces and of their carrier. To be opened before the first driver is
/// loaded.
pub(crate) struct Links(OwnedFd);

impl Links {
    pub(crate) fn open() -> Result<Self, Failure> {
        let open = || {
            let fd = socket(
                AddressFamily::Netlink,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
                SockProtocol::NetlinkRoute,
            )?;
            bind(fd.as_raw_fd(), &NetlinkAddr::new(0, LINKS))?;
            Ok::<_, Errno>(fd)
        };
        open()
            .map(Self)
            .context(|| "open a netlink socket".to_owned())
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Takes what was announced. What it was does not matter, nor whether some of it was lost
    /// (ENOBUFS): the caller looks for itself, after all of it has been taken.
    pub(crate) fn drain(&self) {
        let mut event = [0; 4096];
        while !matches!(
            recv(self.0.as_raw_fd(), &mut event, MsgFlags::empty()),
            Err(Errno::EAGAIN | Errno::EBADF | Errno::ENOTCONN)
        ) {}
    }

    /// What `look` finds, as soon as it finds something, or `None` after `limit`.
    pub(crate) fn wait<T>(
        &self,
        limit: Duration,
        mut look: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now().checked_add(limit);
        loop {
            if let Some(found) = look() {
                return Some(found);
            }
            let left = match deadline {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => Duration::MAX,
            };
            if left.is_zero() {
                return None;
            }
            events::wait(&[self.fd()], left);
            self.drain();
        }
    }
}

/// The name of the interface with this hardware address, such as `eth0`.
pub(crate) fn find(mac: &str) -> Option<String> {
    let interfaces = fs::read_dir(INTERFACES).ok()?.flatten();
    interfaces
        .filter_map(|entry| entry.file_name().into_string().ok())
        .find(|name| attribute(name, "address").eq_ignore_ascii_case(mac))
}

/// Whether there is a cable in it, with something at its other end.
pub(crate) fn has_carrier(name: &str) -> bool {
    attribute(name, "carrier") == "1"
}

fn attribute(name: &str, attribute: &str) -> String {
    let text = fs::read_to_string(format!("{INTERFACES}/{name}/{attribute}"));
    text.unwrap_or_default().trim().to_owned()
}

/// Gives an interface its address and switches it on, as `ip addr add` and `ip link set up` would.
pub(crate) fn up(name: &str, network: &Network) -> Result<(), Failure> {
    configure(name, network.address, network.prefix)
}

/// Brings up the network device that the dump goes to, and reports how far that came. Whether it
/// is up.
pub(crate) fn bring_up(init: &mut Init, network: &Network, limit: Duration) -> Option<String> {
    let links = match Links::open() {
        Ok(links) => links,
        Err(failure) => {
            init.failed(&failure);
            return None;
        }
    };
    // The kernel's own ICMP comes over it: without, nobody learns that a host is not there.
    if let Err(failure) = loopback_up() {
        init.failed(&failure);
    }
    let interface = links.wait(limit, || find(&network.mac));
    let mut error = None;
    let mut carrier = false;
    if let Some(name) = &interface {
        match up(name, network) {
            Ok(()) => {
                let ready = || has_carrier(name).then_some(());
                carrier = links.wait(limit, ready).is_some();
            }
            Err(failure) => {
                console::print(&format!("kdump: crashdrill: {failure}"));
                error = Some(failure.error);
            }
        }
    }
    init.report(&Report::Network {
        interface: interface.clone(),
        error,
        carrier,
    });
    interface.filter(|_| carrier)
}

/// The loopback interface, which rpcbind and its clients on the same machine talk over.
pub(crate) fn loopback_up() -> Result<(), Failure> {
    configure("lo", Ipv4Addr::LOCALHOST, 8)
}

fn configure(name: &str, address: Ipv4Addr, prefix: u8) -> Result<(), Failure> {
    let request = Request::new(name)?;
    let mask = u32::MAX
        .checked_shl(32_u32.saturating_sub(prefix.into()))
        .unwrap_or(0);
    request
        .address(libc::SIOCSIFADDR, address)
        .context(|| format!("give {name} the address {address}"))?;
    request
        .address(libc::SIOCSIFNETMASK, Ipv4Addr::from(mask))
        .context(|| format!("give {name} its netmask"))?;
    request
        .switch_on()
        .context(|| format!("ip link set {name} up"))
}

/// netdevice(7).
struct Request {
    socket: OwnedFd,
    name: [libc::c_char; libc::IFNAMSIZ],
}

impl Request {
    fn new(interface: &str) -> Result<Self, Failure> {
        let mut name = [0; libc::IFNAMSIZ];
        if interface.len() >= name.len() {
            return Err(Failure::new(
                format!("configure {interface}"),
                "the name is too long",
            ));
        }
        for (to, from) in name.iter_mut().zip(interface.bytes()) {
            *to = from as libc::c_char;
        }
        let socket = socket(
            AddressFamily::Inet,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC,
            None,
        )
        .context(|| "open a socket".to_owned())?;
        Ok(Self { socket, name })
    }

    fn address(&self, what: libc::c_ulong, address: Ipv4Addr) -> io::Result<()> {
        let mut socket_address = libc::sockaddr {
            sa_family: libc::AF_INET as libc::sa_family_t,
            sa_data: [0; 14],
        };
        // struct sockaddr_in: two bytes of port, then the address.
        for (to, from) in socket_address.sa_data[2..6]
            .iter_mut()
            .zip(address.octets())
        {
            *to = from as libc::c_char;
        }
        self.call(
            what,
            libc::__c_anonymous_ifr_ifru {
                ifru_addr: socket_address,
            },
        )
        .map(drop)
    }

    fn switch_on(&self) -> io::Result<()> {
        let zero = libc::__c_anonymous_ifr_ifru { ifru_flags: 0 };
        let answer = self.call(libc::SIOCGIFFLAGS, zero)?;
        // SAFETY: SIOCGIFFLAGS answered with flags.
        let flags = unsafe { answer.ifru_flags };
        let flags = flags | libc::IFF_UP as libc::c_short;
        self.call(
            libc::SIOCSIFFLAGS,
            libc::__c_anonymous_ifr_ifru { ifru_flags: flags },
        )
        .map(drop)
    }

    fn call(
        &self,
        what: libc::c_ulong,
        argument: libc::__c_anonymous_ifr_ifru,
    ) -> io::Result<libc::__c_anonymous_ifr_ifru> {
        let mut request = libc::ifreq {
            ifr_name: self.name,
            ifr_ifru: argument,
        };
        // SAFETY: the four requests that are made here read or write a struct ifreq, and `request`
        // is one, valid for the call.
        match unsafe { libc::ioctl(self.socket.as_raw_fd(), what, &mut request) } {
            0 => Ok(request.ifr_ifru),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
