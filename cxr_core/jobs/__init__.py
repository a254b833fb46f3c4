"""How are several trainings carried out as one?"""
