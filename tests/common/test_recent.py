"""What was made last, remembered within a number of bytes."""

import threading

from jaxstyle._common.recent import Recent


def test_the_oldest_goes_and_the_last_stays():
    made = []

    def make(name, *, times=1):
        made.append(name)
        return name * times

    remember = Recent(make, len, most=5)
    assert [remember("aa"), remember("bb"), remember("aa")] == ["aa", "bb", "aa"]
    assert made == ["aa", "bb"]
    remember("cc")  # in the place of bb, which was used before aa
    assert (remember("aa"), remember("bb")) == ("aa", "bb")
    assert made == ["aa", "bb", "cc", "bb"]
    assert remember("d", times=9) == "d" * 9
    assert remember("d", times=9) == "d" * 9
    assert made[-1] == "d"
    assert len(remember) == 1


def test_an_error_is_not_remembered():
    answers = iter([ValueError("no"), "yes"])

    def make():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    remember = Recent(make, len, most=5)
    for _ in range(2):
        try:
            found = remember()
        except ValueError:
            found = None
    assert found == "yes"


def test_threads_may_ask_at_once():
    remember = Recent(lambda n: [n], len, most=10)
    found = []
    threads = [
        threading.Thread(
            target=lambda: found.extend(remember(n % 20)[0] - n % 20 for n in range(500))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [0] * 2000
    assert len(remember) <= 10
