class NotDelivered(Exception):
    """Nobody was told; the message is a whole sentence, without any address or secret.

    `rest`: the channel failed, not this message. `permanent`: trying again as things are would end the same way.
    """

    def __init__(self, sentence: str, *, rest: bool = False, permanent: bool = False) -> None:
        super().__init__(sentence)
        self.rest = rest
        self.permanent = permanent
