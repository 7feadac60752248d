"""Each mended fault can be put back, and is taken away again; those that show at once are found here."""

import pytest

from stress.faults import FAULTS, line, search_for

SOON = {  # and the cases within which it is found
    "checkpoints and .pth files are read without their checksums": 40,
    "a Dataset is read with PyTorch's own generator": 60,
    "a copy shares its moments": 30,
    "samples of weight zero are counted": 20,
    "sums about zero cancel": 60,
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_can_be_put_back_and_taken_away(fault):
    with fault.put_back():
        pass


def test_what_was_put_back_is_gone_afterwards():
    from skmae import _samples, moments

    before = _samples.count_rows
    fault = next(fault for fault in FAULTS if fault.name == "samples of weight zero are counted")
    with fault.put_back():
        assert _samples.count_rows is not before
        assert moments.count_rows is _samples.count_rows  # under each name that it goes by
        assert _samples.count_rows(3, [0.0, 1.0, 0.0]) == 3
    assert _samples.count_rows is moments.count_rows is before


def test_a_line_that_is_not_there_any_more_is_told():
    fault = line("gone", "moments", "skmae._samples:count_rows", "no such text", "")
    with pytest.raises(ValueError, match="'no such text' 0 times"), fault.put_back():
        pass


@pytest.mark.parametrize("name", SOON)
def test_a_fault_that_was_put_back_is_found(name):
    fault = next(fault for fault in FAULTS if fault.name == name)
    found, outcome = search_for(fault, cases=SOON[name])
    assert found
    assert outcome.n_cases <= SOON[name]


def test_names_are_unique():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
