"""The ClientApp."""

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from digitsexample.task import Net, load_data
from digitsexample.task import test as test_fn
from digitsexample.task import train as train_fn

app = ClientApp()


def _prepare(msg, context):
    model = Net()
    model.load_state_dict(msg.content["arrays"].to_torch_state_dict())
    node = context.node_config
    loaders = load_data(
        node["partition-id"], node["num-partitions"], context.run_config["batch-size"]
    )
    return model, *loaders


@app.train()
def train(msg: Message, context: Context):
    """Train on local data."""
    model, trainloader, _ = _prepare(msg, context)
    epochs = context.run_config["local-epochs"]
    train_loss = train_fn(model, trainloader, epochs, msg.content["config"]["lr"])
    metrics = {"train_loss": train_loss, "num-examples": len(trainloader.dataset)}
    content = RecordDict(
        {"arrays": ArrayRecord(model.state_dict()), "metrics": MetricRecord(metrics)}
    )
    return Message(content=content, reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context):
    """Evaluate on local data."""
    model, _, testloader = _prepare(msg, context)
    eval_loss, eval_acc = test_fn(model, testloader)
    metrics = {
        "eval_loss": eval_loss,
        "eval_acc": eval_acc,
        "num-examples": len(testloader.dataset),
    }
    return Message(content=RecordDict({"metrics": MetricRecord(metrics)}), reply_to=msg)
