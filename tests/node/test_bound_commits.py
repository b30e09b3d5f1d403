"""Is a commit that counts in one term only never made in another, nor left to another leader?"""

from clusterd.database import Draft
from clusterd.model.errors import NotLeader, UnknownOutcome
from clusterd.model.ids import GroupId
from clusterd.model.records import GroupRecord
from clusterd.node.effects import CommitDone
from clusterd.node.events import CommitAsked
from clusterd.node.proposals import ForClient, Proposals
from clusterd.sim import SimCluster, SimSettings
from clusterd.wire.records_pb2 import Transaction


def test_one_that_a_new_leader_replaced_is_not_sent_on() -> None:
    proposals, transaction = Proposals(), Transaction(request_id="r")
    proposals.in_log(5, 2, ForClient(1, term=2), transaction, 9999)
    proposals.in_log(6, 2, ForClient(2), transaction, 9999)
    proposals.truncated(5)
    (bound,) = proposals.outcomes()
    assert (bound.purpose, type(bound.error)) == (ForClient(1, term=2), UnknownOutcome)
    assert [purpose for _, purpose, _, _ in proposals.due(0)] == [ForClient(2)], "the other one is"


def test_one_of_another_term_is_refused_at_once() -> None:
    cluster = SimCluster(SimSettings())
    cluster.start()
    cluster.run_for(4000)
    for machine in cluster.machines.values():
        node = machine.node
        assert node is not None
        transaction = Draft(node.replica.view).put(GroupRecord(GroupId("g"))).build("r")
        term = node.replica.raft.term + (1 if node.replica.is_leader else 0)
        effects = node.step(CommitAsked(7, transaction, 99_999, term), 4001)
        (done,) = [each for each in effects if isinstance(each, CommitDone)]
        assert (done.context, done.result, type(done.error)) == (7, None, NotLeader)
        assert node.replica.proposals.count == 0
