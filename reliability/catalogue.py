"""The promises."""
from .promises import Figure, Promise
PROMISES = (
    Promise("split", "The wire", "wire:split", (Figure("differences", "x"),), {"examples": 2000}, {"examples": 100}, {"examples": 20000}),
    Promise("hostile", "The wire", "wire:hostile", (Figure("escaped", "x"),Figure("worst","y",100,"ms")), {"rounds": 3}, {"rounds": 1}, {"rounds": 10}),
)
PROMISES += (
    Promise("cancel", "C", "cancelling:suspensions", (Figure("left", "x"),Figure("wrong", "x"),Figure("worst","y",0.11,"s")), {}, {}, {}),
    Promise("ticks", "C", "cancelling:ticks", (Figure("left", "x"),Figure("wrong", "x"),Figure("worst","y",0.11,"s")), {}, {}, {}),
    Promise("torn", "C", "sending:torn", (Figure("bytes", "x"),), {"mib":8}, {"mib":1}, {"mib":8}),
    Promise("piled", "C", "sending:piled", (Figure("held", "x",256,"KiB"),), {"sends":200}, {"sends":10}, {"sends":200}),
    Promise("blocked", "C", "sending:blocked", (Figure("waits", "x"),Figure("held", "x",1.25,"MiB")), {"chunk":960}, {"chunk":960}, {"chunk":960}),
    Promise("receipts", "C", "sending:receipts", (Figure("untrue", "x"),Figure("closing", "x")), {"cancels":1000}, {"cancels":50}, {"cancels":10000}),
)
PROMISES += (
    Promise("close", "C", "closing:close", (Figure("echoed", "x",0.2,"s"),Figure("silent","y",1.2,"s"),Figure("sending","y",1.2,"s"),Figure("cancelled","y",.2,"s"),Figure("open","y",.2,"s")), {"rounds":3}, {"rounds":1}, {"rounds":10}),
    Promise("closed", "C", "closing:again", (Figure("wrong", "x"),Figure("worst","y",0.2,"s")), {"rounds":10}, {"rounds":1}, {"rounds":10}),
    Promise("readers", "C", "receiving:two", (Figure("lost", "x"),Figure("told","y",0.05,"s")), {"messages":1000}, {"messages":10}, {"messages":10000}),
    Promise("dropped", "C", "receiving:dropped", (Figure("left", "x"),Figure("cpu","y",5,"%")), {"rounds":20,"idle_ms":1000}, {"rounds":2,"idle_ms":100}, {"rounds":20,"idle_ms":1000}),
)
PROMISES += (
    Promise("exceptions", "C", "exceptions:shapes", (Figure("single", "x"),Figure("pairs", "x")), {"rounds":3}, {"rounds":1}, {"rounds":10}),
    Promise("handlers", "C", "handlers:handlers", (Figure("raises", "x",.1,"s"),Figure("cancelled", "x",.1,"s"),Figure("hangs", "x",.5,"s"),Figure("said","z")), {"rounds":5}, {"rounds":1}, {"rounds":10}),
    Promise("around", "C", "surroundings:around", (Figure("wrong", "x"),), {}, {}, {}),
)
PROMISES += (
    Promise("sigint", "C", "processes:interrupted", (Figure("wrong", "x"),Figure("worst", "x",2,"s")), {"times":40}, {"times":4}, {"times":200}),
    Promise("forgotten", "C", "processes:forgotten", (Figure("wrong", "x"),Figure("worst", "x",1,"s")), {"times":2}, {"times":1}, {"times":3}),
    Promise("pong", "C", "flow:pong", (Figure("pong", "x",1,"s"),), {"rounds":5}, {"rounds":1}, {"rounds":20}),
    Promise("unread", "C", "flow:unread", (Figure("rss", "x",24,"MiB"),Figure("told", "x",1,"s"),Figure("order", "x")), {"mib":256}, {"mib":32}, {"mib":1024}),
    Promise("never-read", "C", "flow:never_read", (Figure("rss", "x",24,"MiB"),Figure("lives", "x")), {"mib":256}, {"mib":32}, {"mib":1024}),
    Promise("both", "C", "flow:both", (Figure("s", "x",30,"s"),Figure("order", "x")), {"mib":100}, {"mib":5}, {"mib":100}),
    Promise("killed", "C", "liveness:killed", (Figure("turn", "x",.5,"s"),Figure("idle", "x",.5,"s"),Figure("frame", "x",.5,"s"),Figure("handshake", "x",.5,"s"),Figure("wrong","x")), {"rounds":2}, {"rounds":1}, {"rounds":10}),
    Promise("silent", "C", "liveness:silent", (Figure("turn", "x",15.5,"s"),Figure("idle", "x",30.5,"s")), {"turn":1,"idle":1}, {"turn":0,"idle":0}, {"turn":1,"idle":1},waits=True),
    Promise("expired", "C", "liveness:expired", (Figure("wrong", "x"),), {"rounds":1}, {"rounds":1}, {"rounds":3}),
)
