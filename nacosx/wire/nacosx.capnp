@0xd5c1f6a3b0e94827;
# What the members of a cluster say to each other, over Cap'n Proto RPC.
#
# Whoever needs something calls: a member dials every other one and makes its calls on that connection, and what it is answered
# comes back as their results. So a round of Raft is one call, and not two.
#
# The schema grows by new fields, new methods and new members of unions; nothing is renumbered. `Greeting.version` changes only
# when that is not enough: members of different versions do not talk.

interface Door {
  # What a connection begins with. It gives nothing but a challenge until both sides have shown that they know the secret of
  # the cluster; the proof of a role is HMAC-SHA256 over the role and both greetings.

  hello @0 (greeting :Greeting) -> Welcome;
  enter @1 (proof :Data) -> Entrance;  # the proof of the client
}

struct Greeting {
  version @0 :UInt16;
  nonce @1 :Data;  # 32 random bytes
  member @2 :Text;  # the id of who speaks
  address @3 :Text;  # where it listens to members, host:port
}

struct Welcome {
  union {
    refused @0 :Text;
    greeted :group {
      greeting @1 :Greeting;
      proof @2 :Data;  # of the server
    }
  }
}

struct Entrance {
  union {
    refused @0 :Text;
    node @1 :Node;
  }
}

interface Node {
  deliver @0 (messages :List(Message)) -> (replies :List(Message));
  # Messages of any groups, in the order in which they were sent. The call is answered when the receiver has something to
  # reply to any of its calls, or shortly afterwards when it has not. Both sides spell and read it themselves
  # (_core/capnp_call): in one segment, numbered from 2^30 on, answered without the need of a Finish.

  fetch @1 (group :Text, index :UInt64, offset :UInt64, size :UInt32) -> Chunk;
  # A piece of the snapshot at `index`.

  forward @2 (group :Text, proposals :List(Data)) -> Placed;
  # Proposals for the leader.

  standing @3 (group :Text) -> Standing;
  # Who is in the group as far as this member knows, and what it has applied.
}

struct Message {
  # Where its fields lie is known to peers_messages.py, too.

  group @0 :Text;
  term @1 :UInt64;
  union {
    requestVote :group {
      lastIndex @2 :UInt64;
      lastTerm @3 :UInt64;
      pre @4 :Bool;
      transfer @5 :Bool;
    }
    requestVoteReply :group {
      granted @6 :Bool;
      pre @7 :Bool;
    }
    appendEntries :group {
      sequence @8 :UInt64;
      previousIndex @9 :UInt64;
      previousTerm @10 :UInt64;
      commitIndex @11 :UInt64;
      entries @12 :Data;  # one after the other, encoded and checksummed as in the log
    }
    appendEntriesReply :group {
      sequence @13 :UInt64;
      success @14 :Bool;
      lastIndex @15 :UInt64;
      conflictTerm @16 :UInt64;
    }
    heartbeat :group {
      commitIndex @17 :UInt64;
      round @18 :UInt64;
    }
    heartbeatReply :group {
      round @19 :UInt64;
    }
    installSnapshot :group {
      lastIndex @20 :UInt64;
      lastTerm @21 :UInt64;
      configuration @22 :Data;  # encoded as in the log
      size @23 :UInt64;
    }
    installSnapshotReply :group {
      success @24 :Bool;
      lastIndex @25 :UInt64;
    }
    timeoutNow @26 :Void;
    readIndex :group {
      request @27 :UInt64;
    }
    readIndexReply :group {
      request @28 :UInt64;
      known @29 :Bool;  # false: the receiver does not lead
      index @30 :UInt64;
    }
  }
}

struct Standing {
  union {
    refused @0 :Text;
    member :group {
      configuration @1 :Data;  # encoded as in the log; without members while this one belongs to no cluster
      applied @2 :Digest;
      earlier @3 :List(Digest);
      term @4 :UInt64;
      leader @5 :Text;  # empty when none is known
    }
  }

  struct Digest {
    # Of everything applied up to the entry: members that hold the same have the same.
    index @0 :UInt64;
    data @1 :UInt32;  # of the entries
    outcomes @2 :UInt32;  # of what became of them
  }
}

struct Chunk {
  union {
    data @0 :Data;
    refused @1 :Text;
  }
}

struct Placed {
  union {
    replies @0 :List(Place);
    refused @1 :Text;
  }

  struct Place {
    index @0 :UInt64;
    term @1 :UInt64;
    error @2 :Int32;  # 0: it has a place in the log; else the number of SOFAJRaft's RaftError
    leader @3 :Text;
  }
}
